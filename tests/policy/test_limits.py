"""The rate limits' promises, held by their twins for any pattern of requests."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.limits import ALGORITHMS, Quota, decide_all
from cloudlet.policy.limits.engine import needs_store
from cloudlet.stack.gateway import Gateway, Route
from cloudlet.stack.gateway.limits import RateLimit

_SECOND = 1_000_000
times = st.lists(st.integers(0, 700_000), min_size=1, max_size=80).map(lambda waits: list(accumulate(waits)))
quotas = st.builds(Quota, st.integers(1, 9), st.just(_SECOND), st.integers(1, 9))


def let_in(algorithm: str, quota: Quota, at: list[int]) -> list[int]:
    """The times of the requests that pass; a leaky bucket's are those at which they leave."""
    twin, passed = ALGORITHMS[algorithm], []
    state = twin.begin()
    for now in at:
        decision, state = twin.decide(quota, state, now)
        assert (decision.retry_after == 0) is decision.allowed
        if decision.allowed:
            passed.append(now + decision.delay)
    return passed


def most_within(passed: list[int], span: int) -> int:
    return max((sum(1 for at in passed if begin <= at < begin + span) for begin in passed), default=0)


@given(quotas, times)
def test_a_log_is_exact(quota: Quota, at: list[int]) -> None:
    """In any window's length there are at most as many as the limit says, wherever it begins."""
    assert most_within(let_in("sliding-log", quota, at), _SECOND) <= quota.count


@given(quotas, times)
def test_a_window_holds_its_limit(quota: Quota, at: list[int]) -> None:
    """In each window of the clock there are at most as many; across two there may be twice that."""
    passed = let_in("fixed-window", quota, at)
    numbers = [now // _SECOND for now in passed]
    assert all(numbers.count(number) <= quota.count for number in numbers)
    assert most_within(passed, _SECOND) <= 2 * quota.count


def test_only_the_fixed_window_bursts_twice() -> None:
    """Ten at a window's end and ten at the next one's beginning: 20, and half as many elsewhere."""
    at = [_SECOND - 1000] * 10 + [_SECOND + 1000] * 10
    passed = {name: len(let_in(name, Quota(10, _SECOND, 10), at)) for name in ALGORITHMS}
    assert passed.pop("fixed-window") == 20
    assert passed.pop("leaky-bucket") == 11, "one goes and ten wait"
    assert set(passed.values()) == {10}


@given(quotas, times)
def test_a_token_bucket_is_bounded_in_any_time(quota: Quota, at: list[int]) -> None:
    """At most burst + rate × time."""
    passed = let_in("token-bucket", quota, at)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            elapsed = (passed[last] - passed[first]) / _SECOND
            assert last - first + 1 <= quota.burst + quota.count * elapsed + 1e-9


@given(quotas, times)
def test_a_leaky_bucket_flows_evenly(quota: Quota, at: list[int]) -> None:
    """Never two within an interval, and in the order in which they came."""
    passed = let_in("leaky-bucket", quota, at)
    gaps = [after - before for before, after in pairwise(passed)]
    assert all(gap >= _SECOND / quota.count - 1 for gap in gaps)


@given(st.sampled_from(sorted(ALGORITHMS)), quotas, times)
def test_retry_after_is_true(algorithm: str, quota: Quota, at: list[int]) -> None:
    """Who comes back when told to passes, and a moment before would not have."""
    twin = ALGORITHMS[algorithm]
    state, resolution = twin.begin(), 1000 if algorithm == "sliding-counter" else 1
    for now in at:
        decision, state = twin.decide(quota, state, now)
        if not decision.allowed:
            later = now + decision.retry_after
            assert twin.decide(quota, state, later)[0].allowed
            assert not twin.decide(quota, state, later - resolution)[0].allowed


@given(st.lists(st.tuples(st.sampled_from(sorted(ALGORITHMS)), quotas), min_size=2, max_size=3), times)
def test_stacked_limits_count_all_or_nothing(limits: list[tuple[str, Quota]], at: list[int]) -> None:
    """What one refuses leaves the states of all as they were."""
    states = [ALGORITHMS[name].begin() for name, _ in limits]
    for now in at:
        refused, decisions, after = decide_all(limits, states, now)
        assert (refused is None) is all(decision.allowed for decision in decisions)
        if refused is not None:
            assert after == states
        states = after


def test_what_needs_a_store() -> None:
    """A log always, everything with several edges, nothing without limits."""
    log, bucket = (
        RateLimit.model_validate({"rate": "1/s", "algorithm": name}) for name in ("sliding-log", "token-bucket")
    )
    route = Route.model_validate({"path": "/*", "to": "a"})
    assert not needs_store([route], Gateway(), 2)
    assert not needs_store([route.model_copy(update={"rate_limits": (bucket,)})], Gateway(), 1)
    assert needs_store([route.model_copy(update={"rate_limits": (bucket,)})], Gateway(), 2)
    assert needs_store([route], Gateway(rate_limits=(log,)), 1)
