"""Requests wait while no instance is there, rather than fail."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from cloudlet.contracts.edge import Backend

from .conftest import Harness, backend


async def _held(harness: Harness, name: str, count: int) -> None:
    """Wait until so many requests are held."""
    async with asyncio.timeout(5):
        while True:
            queued = {item.name: item.queued for item in await harness.edge.statistics()}
            if queued.get(name) == count:
                return
            await asyncio.sleep(0.01)


async def _status(harness: Harness, method: str = "GET", data: bytes | None = None) -> int:
    async with harness.client.request(method, "/", data=data) as answer:
        await answer.read()
        return answer.status


async def test_held_requests_go_to_the_first_server(harness: Harness) -> None:
    """Requests of any method wait for the first server, and are served as soon as it is there."""
    await harness.start(backend("a"))
    waiting = [asyncio.create_task(_status(harness, m, b)) for m, b in [("GET", None), ("POST", b"x" * 50_000)] * 20]
    await _held(harness, "a", 40)
    (server,) = await harness.servers("a", 1)
    await harness.edge.add_server("a", server)
    began = time.monotonic()
    assert await asyncio.gather(*waiting) == [200] * 40
    print(f"40 held requests served {(time.monotonic() - began) * 1000:.0f} ms after the first server came")
    assert harness.upstreams[0].requests == 40


async def test_a_held_request_waits_so_long(harness: Harness) -> None:
    """After `wait` it gets 503 with Retry-After."""
    await harness.start(backend("a", wait=0.3))
    began = time.monotonic()
    async with harness.client.get("/") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
    assert 0.25 < time.monotonic() - began < 2


async def test_no_more_are_held_than_allowed(harness: Harness) -> None:
    """Beyond `wait_at_most` the answer is 503 at once."""
    await harness.start(backend("a", wait_at_most=5))
    waiting = [asyncio.create_task(_status(harness)) for _ in range(5)]
    await _held(harness, "a", 5)
    assert await _status(harness) == 503
    await harness.edge.add_server("a", (await harness.servers("a", 1))[0])
    assert await asyncio.gather(*waiting) == [200] * 5


async def test_a_succession_takes_held_requests_along(harness: Harness) -> None:
    """The successor serves what its predecessor held, with the client's address, over two successions."""
    empty = backend("a")
    await harness.start(empty)
    waiting = [asyncio.create_task(_status(harness, m, b)) for m, b in [("GET", None), ("POST", b"x")] * 50]
    await _held(harness, "a", 100)
    for timeout in (31.0, 32.0):
        await harness.edge.apply(harness.configuration(replace(empty, timeout=timeout)))
        await _held(harness, "a", 100)
    await harness.edge.add_server("a", (await harness.servers("a", 1))[0])
    statuses = await asyncio.gather(*waiting)
    print(f"{len(statuses)} requests held over 2 successions: {sum(s != 200 for s in statuses)} failed")
    assert statuses == [200] * 100


async def test_the_wait_goes_on_counting_over_a_succession(harness: Harness) -> None:
    """A succession does not begin the wait anew."""
    empty = backend("a", wait=1.0)
    await harness.start(empty)
    began = time.monotonic()
    waiting = asyncio.create_task(_status(harness))
    await _held(harness, "a", 1)
    await asyncio.sleep(0.5)
    await harness.edge.apply(harness.configuration(replace(empty, timeout=31.0)))
    assert await waiting == 503
    assert time.monotonic() - began < 1.45


async def test_a_fallback_answers_while_no_server_is_up(harness: Harness) -> None:
    """`backup:` in the file: another backend, only while this one has no server."""
    a: Backend = backend("a", fallback="b")
    await harness.start(a, backend("b", *await harness.servers("b", 1)))
    assert await harness.name() == "b-1"
    await harness.edge.add_server("a", (await harness.servers("a", 1))[0])
    assert (await harness.names(10)).keys() == {"a-1"}
    await harness.edge.drain_server("a", "a-1")
    assert (await harness.names(10)).keys() == {"b-1"}
