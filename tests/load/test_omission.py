"""No coordinated omission: a stall is felt by every request that was due in it."""

from __future__ import annotations

import asyncio
import time

import pytest

from cloudlet.load import LoadPlan, Report, run, run_blocking
from tests.load.server import Behaviour, Exchange, serving


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
async def test_ten_thousand_requests_cost_less_than_a_second_of_a_core() -> None:
    """The generator is no limit: measured in processor time, so that a busy machine does not matter."""

    async def behave(exchange: Exchange) -> None:
        exchange.answer()

    def measured(plan: LoadPlan) -> tuple[Report, float]:
        began = time.thread_time()
        report = run_blocking(plan)
        return report, time.thread_time() - began

    async with serving(behave) as server:
        plan = LoadPlan(server.url, concurrency=16, requests=20_000)
        report, spent = await asyncio.to_thread(measured, plan)
    print(f"{report.ok / spent:,.0f} requests per second of processor time, over {report.ok:,} requests")
    assert report.ok == 20_000
    assert report.ok / spent > 10_000
