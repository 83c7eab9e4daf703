"""No coordinated omission: a stall is felt by every request that was due in it."""

from __future__ import annotations

import asyncio

import pytest

from cloudlet.load import LoadPlan, run, run_blocking
from load.server import Behaviour, Exchange, serving


def stalling_at(number: int, seconds: float) -> Behaviour:
    """A behaviour: from the given request on, nobody is answered for so long."""
    over = asyncio.Event()

    async def behave(exchange: Exchange) -> None:
        if exchange.number == number:
            asyncio.get_running_loop().call_later(seconds, over.set)
        if exchange.number >= number:
            await over.wait()
        exchange.answer()

    return behave


async def test_an_open_loop_shows_a_stall_in_its_percentiles() -> None:
    """The server stalls 1 s of 3: a third of all requests were due meanwhile, so p90 and p99 say so."""
    behave = stalling_at(100, 1.0)
    async with serving(behave) as server:
        report = await run(LoadPlan(server.url, rate=100, duration=3, connections=4))
    assert (report.sent, report.failures) == (300, {})
    assert report.latency.p50 < 0.5
    assert report.latency.p90 > 0.6
    assert 0.9 < report.latency.p99 < 1.5
    assert 0.9 < report.max_gap < 1.5


async def test_a_closed_loop_cannot_see_it() -> None:
    """The same stall hides from a closed loop, which sends nothing meanwhile."""
    behave = stalling_at(500, 1.0)
    async with serving(behave) as server:
        report = await run(LoadPlan(server.url, concurrency=1, requests=1000))
    assert report.latency.p99 < 0.5
    assert report.latency.max > 0.9
    assert report.max_gap > 0.9


@pytest.mark.soak
async def test_ten_thousand_a_second_from_one_core() -> None:
    """The generator itself is no limit: 10,000 requests a second keep their times on one core."""

    async def behave(exchange: Exchange) -> None:
        exchange.answer()

    async with serving(behave) as server:
        report = await asyncio.to_thread(run_blocking, LoadPlan(server.url, concurrency=16, requests=50_000))
    print(f"{report.throughput:.0f} requests/s, server and generator in one process")
    assert report.ok == 50_000
    assert report.throughput > 10_000
