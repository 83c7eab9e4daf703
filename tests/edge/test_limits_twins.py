"""The stick tables' arithmetic against the twins: the edge says at which moment it decided, and the twin is asked for
the very same one."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import math
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cloudlet.edge.steps as steps
from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.limits.buckets import EPOCH, ticks
from cloudlet.edge.limits.plan import Slot, plan
from cloudlet.policy.limits import ALGORITHMS
from cloudlet.stack.gateway.limits import RateLimit
from cloudlet.stack.units import Rate

from .conftest import Harness
from .limits import Limited, limit, limited

_CASES = {
    "fixed-window": limit("fixed-window", "4/s", "header:X-Run"),
    "sliding-counter": limit("sliding-counter", "5/s", "header:X-Run"),
    "token-bucket": limit("token-bucket", "7/s", "header:X-Run", 3),
    "leaky-bucket": limit("leaky-bucket", "30/s", "header:X-Run", 2),
}
_PAUSES = st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.07, 0.15, 0.5])


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The edge adds its clocks to each answer."""
    shown = steps.limit_addresses.fragment

    def fragment(configuration: EdgeConfiguration) -> steps.Fragment:
        made = shown(configuration)
        names = ("limit_now", "limit_clock")
        clocks = [f"http-after-response add-header {n.replace('_', '-')} %[var(txn.{n})]" for n in names]
        return replace(made, answers=(*made.answers, *clocks))

    order = tuple(fragment if step is shown else step for step in steps.ORDER)
    monkeypatch.setattr(steps, "ORDER", order)


@pytest.mark.parametrize("algorithm", list(_CASES))
async def test_the_edge_decides_as_the_twin(harness: Harness, telling: None, algorithm: str) -> None:
    """The same answer, the same rest, the same times, for any pattern of requests."""
    made = await Limited(harness).start(limited("/*", _CASES[algorithm]))
    slot, runs = plan(made).slots[0], itertools.count()

    @settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(_PAUSES, min_size=7, max_size=9))
    def holds(pauses: list[float]) -> None:
        run, state = str(next(runs)), ALGORITHMS[algorithm].begin()
        connection = http.client.HTTPConnection("127.0.0.1", harness.port, timeout=10)
        for pause in pauses:
            time.sleep(pause)
            connection.request("GET", "/", headers={"X-Run": run})
            answer = connection.getresponse()
            answer.read()
            decision, state = ALGORITHMS[algorithm].decide(slot.quota, state, _moment(slot, answer))
            assert (answer.status == 200) is decision.allowed
            assert answer.headers["x-ratelimit-remaining"] == str(decision.remaining)
            assert answer.headers["x-ratelimit-reset"] == _seconds(decision.reset)
            assert answer.headers["retry-after"] == (None if decision.allowed else _seconds(decision.retry_after))
        connection.close()

    await asyncio.to_thread(holds)


def _moment(slot: Slot, answer: http.client.HTTPResponse) -> int:
    """In µs, no finer than the edge's own counting."""
    if not slot.is_bucket:
        return int(answer.headers["limit-now"]) * 1000
    tick = ticks(slot)
    clock = int(answer.headers["limit-clock"]) * tick.up // tick.down
    return EPOCH * 1_000_000 + -(-clock * tick.down // tick.up)


def _seconds(microseconds: int) -> str:
    """Of whole milliseconds, rounded up twice, as the edge does."""
    milliseconds = math.ceil(microseconds / 1000)
    return str(math.ceil(milliseconds / 1000))


rates = st.builds(
    Rate, st.one_of(st.integers(1, 100_000), st.sampled_from([0.5, 1.5, 0.001])), st.sampled_from([1.0, 60.0, 86400.0])
)


@given(rates, st.integers(1, 1_000_000), st.sampled_from(["token-bucket", "leaky-bucket"]))
def test_ticks_fit_the_tables(rate: Rate, burst: int, algorithm: str) -> None:
    """A bucket's whole life fits half of 32 bits, a product 64, until 2040; the interval is true to 0.01 %."""
    slot = Slot(0, RateLimit(rate=rate, algorithm=algorithm, burst=burst), False, "x", False)  # type: ignore[arg-type]
    if (burst + 1) / rate.per_second > 24 * 86400:
        return
    tick = ticks(slot)
    later = (2_208_988_800 - EPOCH) * 1_000_000
    assert later * tick.up < 1 << 63
    assert slot.holds * tick.interval < 1 << 31
    assert (2 * rate.per_second + 1) * tick.interval < 1 << 31
    exact = rate.per / rate.count * 1_000_000
    assert tick.interval * tick.down / tick.up == pytest.approx(exact, rel=1e-4)


def test_nothing_is_rendered_where_nothing_is_limited() -> None:
    """Requests of a file without limits pay nothing."""
    bare = EdgeConfiguration(routes=(limited("/*"),))
    assert steps.limit_addresses.fragment(bare) == steps.Fragment()
    assert steps.limit_identities.fragment(bare) == steps.Fragment()
