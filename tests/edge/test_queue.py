"""The limit of requests an instance works on at once, and the queue before it."""

from __future__ import annotations

import asyncio

from .conftest import Harness, backend


async def test_more_than_its_limit_waits(harness: Harness) -> None:
    """An instance never works on more than `concurrency` at once, and every request is served."""
    servers = await harness.servers("a", 2, delay=0.02)
    await harness.start(backend("a", servers[0], concurrency=4))
    await harness.edge.add_server("a", servers[1])
    counts = await harness.names(200, at_once=60)
    most = [upstream.most_at_once for upstream in harness.upstreams]
    print(f"{sum(counts.values())} served by {counts}, at once at most {most}")
    assert max(most) <= 4
    assert sum(counts.values()) == 200


async def test_who_waits_too_long_is_told_when_to_come_again(harness: Harness) -> None:
    """After `wait` in the queue: 503 with Retry-After, as a problem."""
    await harness.start(backend("a", *await harness.servers("a", 1), concurrency=1, wait=0.2))
    busy = asyncio.create_task(harness.name("/sleep/1"))
    await _until_at_once(harness, 1)
    async with harness.client.get("/") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.content_type == "application/problem+json"
    await busy


async def test_a_full_queue_refuses_at_once(harness: Harness) -> None:
    """Beyond `wait_at_most` waiting, the answer is 503 with Retry-After without waiting."""
    await harness.start(backend("a", *await harness.servers("a", 1), concurrency=1, wait_at_most=3))
    tasks = [asyncio.create_task(harness.name("/sleep/0.3")) for _ in range(4)]
    async with asyncio.timeout(5):
        while (await harness.edge.statistics())[0].queued < 3:
            await asyncio.sleep(0.01)
    async with harness.client.get("/") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
    assert await asyncio.gather(*tasks) == ["a-1"] * 4


async def _until_at_once(harness: Harness, count: int) -> None:
    async with asyncio.timeout(5):
        while harness.upstreams[0].at_once < count:
            await asyncio.sleep(0.005)
