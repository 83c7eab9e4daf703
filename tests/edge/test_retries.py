"""How often a request is repeated, with one instance and with several, and how the budget ends a storm of repeats."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from cloudlet.contracts.edge import Server
from cloudlet.policy.retry_budget import AT_LEAST

from .conftest import Harness, backend
from .raw import get, send


@dataclass
class Broken:
    """Reads each request and closes, or resets the connection; when, by the clock."""

    reset: bool = False
    hits: list[float] = field(default_factory=list)
    port: int = 0

    async def cut(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            good = True
            while good:
                good = b"/good" in await reader.readuntil(b"\r\n\r\n")
                self.hits.append(time.monotonic())
                if good:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        if self.reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    def servers(self, count: int) -> list[Server]:
        return [Server(f"a-{n}", n, "127.0.0.1", self.port) for n in range(1, count + 1)]


@asynccontextmanager
async def broken(*, reset: bool = False) -> AsyncIterator[Broken]:
    made = Broken(reset)
    server = await asyncio.start_server(made.cut, "127.0.0.1", 0, backlog=1024)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@pytest.mark.parametrize("attempts", [0, 1, 3, 5])
@pytest.mark.parametrize("instances", [1, 2])
async def test_a_request_is_repeated_as_often_as_the_file_says(harness: Harness, attempts: int, instances: int) -> None:
    """With one instance the door repeats too, for it may be dying; without attempts nobody does."""
    async with broken() as service:
        await harness.start(backend("a", *service.servers(instances), check=None, retries=attempts))
        status, _ = await send(harness.port, get("/"))
        assert status in (502, 503)
        most = (1 + attempts) * 4 if attempts and instances == 1 else 1 + attempts
        assert 1 + attempts <= len(service.hits) <= most


@pytest.mark.parametrize("instances", [1, 2])
async def test_a_post_is_never_repeated(harness: Harness, instances: int) -> None:
    """Whatever the budget says."""
    async with broken() as service:
        await harness.start(backend("a", *service.servers(instances), check=None, retry_budget=1.0))
        status, _ = await send(harness.port, get("/", "Content-Length: 0", method="POST"))
        assert (status, len(service.hits)) == (502, 1)


async def storm(harness: Harness, service: Broken, instances: int, budget: float | None) -> tuple[int, int, int]:
    """Eight clients ask for 3.5 s; requests and what reached the service after the grace and a look, and before."""
    settings = {"check": None, "retries": 3, "retry_budget": budget}
    await harness.start(backend("a", *service.servers(instances), **settings))
    began, sent = time.monotonic(), list[float]()

    async def client(session: aiohttp.ClientSession) -> None:
        while time.monotonic() < began + 3.5:
            sent.append(time.monotonic())
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{harness.port}/") as answer:
                    await answer.read()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(8)))
    settled = began + 1.5
    return (
        sum(at >= settled for at in sent),
        sum(at >= settled for at in service.hits),
        sum(at < settled for at in service.hits),
    )


@pytest.mark.parametrize(("instances", "reset"), [(1, False), (2, False), (1, True)])
async def test_the_budget_ends_a_storm(harness: Harness, instances: int, reset: bool) -> None:
    """Every instance closes every connection: after the grace the service gets its requests, the budget's share of them
    and what one look lets through; without a budget it gets four times as many, or more through the door."""
    async with broken(reset=reset) as service:
        free, without, _ = await storm(harness, service, instances, None)
        service.hits.clear()
        limited, within, first = await storm(harness, service, instances, 0.2)
    print(
        f"{instances} instances that {'reset' if reset else 'close'} every connection: without a budget {without}"
        f" arrive of {free} requests ({without / free:.2f} times), with 20 % {within} of {limited}"
        f" ({within / limited:.2f} times; {first} in the first one and a half seconds)"
    )
    assert without >= 3.8 * free
    assert within <= (1 + 0.2 + 0.05) * limited + AT_LEAST
    text = await harness.edge._running()[0].ask("show map retries-spent.map")
    assert " a " in text


async def test_repeats_come_back_when_the_budget_has_room(harness: Harness) -> None:
    """Many good answers make room for repeats again."""
    async with broken() as service:
        await harness.start(backend("a", *service.servers(2), check=None, retries=3, retry_budget=1.0))
        shown = harness.edge._running()[0].ask
        async with asyncio.timeout(20):
            while " a " not in await shown("show map retries-spent.map"):
                await asyncio.gather(*(send(harness.port, get("/")) for _ in range(4)))
            while " a " in await shown("show map retries-spent.map"):
                await asyncio.gather(*(send(harness.port, get("/good")) for _ in range(16)))
        before = len(service.hits)
        await send(harness.port, get("/"))
        assert len(service.hits) == before + 4


async def test_a_crash_is_no_storm(harness: Harness) -> None:
    """What an instance had when it died is repeated all at once, and may be more than the budget."""
    async with broken() as service:
        await harness.start(backend("a", *service.servers(2), check=None, retries=1, retry_budget=0.0))
        for _ in range(2):
            before = len(service.hits)
            await asyncio.gather(*(send(harness.port, get("/")) for _ in range(150)))
            assert len(service.hits) == before + 300
            assert " a " not in await harness.edge._running()[0].ask("show map retries-spent.map")
            await asyncio.sleep(1.5)  # longer than the grace
