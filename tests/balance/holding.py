"""Requests that stay in flight until they are let go, sent one by one, so that who got which is known for certain."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from cloudlet.policy.balance import Server
from tests.edge.conftest import Harness, until
from tests.edge.upstream import Upstream


@dataclass
class Holding(Upstream):
    """Answers a request when it is let go."""

    waiting: list[asyncio.Event] = field(default_factory=list)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        gate = asyncio.Event()
        self.waiting.append(gate)
        await gate.wait()
        return web.Response(text=self.name)


class Flight:
    """What is in flight through an edge, by the ordinal of the server that has it. `servers` and the edge's must be
    the same, and the upstreams be held by this."""

    def __init__(self, harness: Harness, upstreams: list[Holding]) -> None:
        self._harness, self._upstreams = harness, upstreams
        self._answers: list[asyncio.Task[None]] = []

    def connections(self) -> tuple[int, ...]:
        return tuple(len(upstream.waiting) for upstream in self._upstreams)

    def seen(self, servers: tuple[Server, ...]) -> tuple[Server, ...]:
        """The servers as a twin is to see them now."""
        return tuple(
            Server(s.name, s.ordinal, s.weight, count) for s, count in zip(servers, self.connections(), strict=True)
        )

    async def send(self, path: str = "/", headers: dict[str, str] | None = None) -> int:
        """The ordinal of the server that has got one more request."""
        before = self.connections()
        self._answers.append(asyncio.create_task(self._ask(path, headers or {})))
        await until(lambda: sum(self.connections()) > sum(before))
        now = self.connections()
        return next(n for n, (old, new) in enumerate(zip(before, now, strict=True), 1) if new > old)

    async def _ask(self, path: str, headers: dict[str, str]) -> None:
        async with aiohttp.request("GET", f"http://127.0.0.1:{self._harness.port}{path}", headers=headers) as answer:
            assert answer.status == 200
            await answer.read()

    async def let_go(self, ordinal: int) -> None:
        """One request of that server; it has ended for HAProxy too when this returns."""
        self._upstreams[ordinal - 1].waiting.pop(0).set()
        wanted = self.connections()
        async with asyncio.timeout(5):
            while await self._at_the_edge() != wanted:
                await asyncio.sleep(0.002)

    async def _at_the_edge(self) -> tuple[int, ...]:
        (backend,) = await self._harness.edge.statistics()
        return tuple(server.sessions for server in sorted(backend.servers, key=lambda server: server.name))

    async def end(self) -> None:
        for upstream in self._upstreams:
            while upstream.waiting:
                upstream.waiting.pop().set()
        await asyncio.gather(*self._answers)
