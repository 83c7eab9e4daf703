"""Whatever a server does, every request is counted once, as what a client saw."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from cloudlet.errors import OperatorError
from cloudlet.load import LoadPlan, Report, Request, run, run_blocking
from tests.load.server import Exchange, serving


async def well(exchange: Exchange) -> None:
    exchange.answer(X_Instance=f"orders-{exchange.number % 2 + 1}")


def assert_whole(report: Report) -> None:
    assert report.sent == report.ok + report.failed


async def test_a_closed_loop_sends_exactly_the_requests_asked_for() -> None:
    """A number of requests is exact, and no more connections are used than there are clients."""
    async with serving(well) as server:
        report = await run(LoadPlan(server.url, concurrency=7, requests=500, by_header="x-instance"))
    assert (report.sent, report.ok, report.failures) == (500, 500, {})
    assert len(server.seen) == 500
    assert server.connections == report.connections == 7
    assert report.by_header == {"orders-1": 250, "orders-2": 250}
    assert report.statuses == {200: 500}
    assert {exchange.target for exchange in server.seen} == {"/api/products?page=2"}


async def test_an_open_loop_sends_rate_times_duration() -> None:
    """200 a second for half a second are 100 requests, spread over that time."""
    async with serving(well) as server:
        report = await run(LoadPlan(server.url, rate=200, duration=0.5))
    assert (report.sent, report.ok) == (100, 100)
    assert 0.49 <= report.elapsed < 1.5


async def test_statuses_that_are_not_expected_are_failures() -> None:
    """Each unexpected status is a kind of failure of its own; expecting it makes it a success."""

    async def every_third(exchange: Exchange) -> None:
        exchange.answer(503 if exchange.number % 3 == 0 else 404 if exchange.number % 3 == 1 else 200)

    async with serving(every_third) as server:
        report = await run(LoadPlan(server.url, concurrency=4, requests=300))
        tolerant = await run(LoadPlan(server.url, concurrency=4, requests=300, expect=((200, 299), (404, 404))))
    assert report.failures == {"status 503": 100, "status 404": 100}
    assert report.ok == 100
    assert tolerant.failures == {"status 503": 100}
    assert_whole(report)


async def test_an_answer_cut_short_is_a_reset() -> None:
    """A connection that ends within an answer fails its request and no other."""

    async def cut_every_fifth(exchange: Exchange) -> None:
        if exchange.number % 5:
            exchange.answer()
        else:
            exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            exchange.close()

    async with serving(cut_every_fifth) as server:
        report = await run(LoadPlan(server.url, concurrency=3, requests=100))
    assert report.failures == {"reset": 20}
    assert report.ok == 80


async def close_when_reused(exchange: Exchange) -> None:
    """Answer the first request of a connection, close at the second without a byte."""
    exchange.answer() if exchange.place == 1 else exchange.close()


async def test_a_kept_connection_that_closes_before_the_answer_has_its_own_count() -> None:
    """What any client may meet when a server's patience ends just then is told apart from a reset."""
    async with serving(close_when_reused) as server:
        report = await run(LoadPlan(server.url, concurrency=1, requests=100))
    assert report.failures == {"reused-closed": 50}
    assert (report.ok, report.reused_closed, report.retried) == (50, 50, 0)


async def test_retry_sends_an_idempotent_request_again_once() -> None:
    """With `retry` those become successes, and stay visible."""
    async with serving(close_when_reused) as server:
        report = await run(LoadPlan(server.url, concurrency=1, requests=100, retry=True))
    assert (report.ok, report.failures) == (100, {})
    assert (report.reused_closed, report.retried) == (99, 99)


async def test_retry_never_sends_a_post_twice() -> None:
    """A request that is not idempotent and may have been received fails instead of being replayed."""
    async with serving(close_when_reused) as server:
        plan = LoadPlan(
            server.url,
            concurrency=2,
            requests=60,
            method="POST",
            body=b"{}",
            retry=True,
            number_header="X-Number",
        )
        report = await run(plan)
    numbers = [exchange.headers["x-number"] for exchange in server.seen]
    assert len(numbers) == len(set(numbers)) == 60
    assert report.failures == {"reused-closed": 30}
    assert {exchange.body for exchange in server.seen} == {b"{}"}


async def test_a_refused_connection_is_counted() -> None:
    """Nobody listening is a result, not an exception; a retry is one more attempt."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        report = await run(LoadPlan(url, concurrency=2, requests=6))
        retried = await run(LoadPlan(url, rate=1000, requests=6, retry=True))
    assert report.failures == retried.failures == {"connect": 6}
    assert retried.retried == 6
    assert report.latency.max == 0.0


async def test_silence_is_a_timeout_and_ends_the_load() -> None:
    """A server that never answers holds a load for its duration and one timeout, whoever waits where."""

    async def never(_: Exchange) -> None:
        await asyncio.Event().wait()

    async with serving(never) as server:
        began = time.monotonic()
        report = await run(LoadPlan(server.url, rate=100, duration=0.3, timeout=0.2, connections=5))
        took = time.monotonic() - began
    assert report.failures == {"timeout": 30}
    assert report.latency.p50 >= 0.2
    assert took < 1.5


async def test_nonsense_is_a_protocol_failure() -> None:
    """An answer that is not HTTP is counted as such."""

    async def nonsense(exchange: Exchange) -> None:
        exchange.writer.write(b"what?\r\n\r\n")

    async with serving(nonsense) as server:
        report = await run(LoadPlan(server.url, concurrency=2, requests=10))
    assert report.failures == {"protocol": 10}


async def test_a_mix_keeps_its_shares_exactly() -> None:
    """Requests of a mix come in proportion to their weights, each with its own method, path and body."""
    mix = (
        Request(target="/catalogue", weight=8),
        Request("POST", "/orders", {"Content-Type": "application/json"}, b'{"id":1}', weight=2),
    )
    async with serving(well) as server:
        report = await run(LoadPlan(server.url, concurrency=3, requests=200, mix=mix, headers={"X-A": "1"}))
    orders = [exchange for exchange in server.seen if exchange.method == "POST"]
    assert report.ok == 200
    assert len(orders) == 40
    assert {(e.target, e.headers["content-type"], e.headers["x-a"], e.body) for e in orders} == {
        ("/orders", "application/json", "1", b'{"id":1}')
    }


async def test_stop_ends_the_load_early() -> None:
    """Once asked to stop nothing more is sent, and what is under way is waited for."""
    stop = asyncio.Event()

    async def stop_at_50(exchange: Exchange) -> None:
        exchange.answer()
        if exchange.number == 50:
            stop.set()

    async with serving(stop_at_50) as server:
        report = await run(LoadPlan(server.url, rate=500, duration=60), stop=stop)
    assert 50 <= report.sent < 500
    assert_whole(report)


async def test_progress_is_told_while_it_runs() -> None:
    """Progress comes several times a second and ends at the report's own counts at most."""
    told = []
    async with serving(well) as server:
        report = await run(LoadPlan(server.url, rate=100, duration=0.8), told.append)
    assert len(told) >= 2
    assert [p.sent for p in told] == sorted(p.sent for p in told)
    assert told[-1].sent <= report.sent


async def test_run_blocking_works_from_a_thread() -> None:
    """A test with a loop of its own can load from a thread, on a loop that is faster."""
    async with serving(well) as server:
        plan = LoadPlan(server.url, concurrency=2, requests=50)
        report = await asyncio.to_thread(run_blocking, plan)
    assert report.ok == 50


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rate": None}, "either a rate or a concurrency"),
        ({"duration": None}, "needs an end"),
        ({"rate": -1.0}, "rate -1.0 is not a positive number"),
        ({"url": "/api"}, "is not a URL"),
        ({"url": "http://a:99999/"}, "is not a URL"),
        ({"headers": {"X": "a\r\nY: b"}}, "is not a header"),
        ({"method": "GET /x"}, "is not a request"),
        ({"arrivals": "sometimes"}, "neither fixed nor poisson"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(changes: dict[str, object], reason: str) -> None:
    """Mistakes are found when the plan is made, in the operator's words."""
    given: dict[str, object] = {"url": "http://127.0.0.1:1/", "rate": 10.0, "duration": 1.0}
    with pytest.raises(OperatorError, match=reason):
        LoadPlan(**{**given, **changes})  # type: ignore[arg-type]


async def test_an_unknown_host_is_the_operators_mistake() -> None:
    """A name without an address is an error with the name in it."""
    with pytest.raises(OperatorError, match=r"nowhere\.invalid"):
        await run(LoadPlan("http://nowhere.invalid/", concurrency=1, requests=1))
