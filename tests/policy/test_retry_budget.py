"""The retry budget's decisions, and what they mean for the load on a service that fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.retry_budget import AT_LEAST, WINDOW, Look, decide


@pytest.mark.parametrize(
    ("requests", "retries", "allowed"),
    [(0, 0, True), (5, 15, True), (0, AT_LEAST, False), (1000, 299, True), (1000, 300, False), (10_000, 0, True)],
)
def test_a_share_and_a_few(requests: int, retries: int, allowed: bool) -> None:
    """A fifth of the requests and a hundred; what is exactly that is spent."""
    assert decide([Look(0, 0, 0), Look(5, requests, retries)], 0.2).allowed is allowed


def test_the_reason_says_the_numbers() -> None:
    """For the journal."""
    because = decide([Look(0, 10, 10), Look(5, 1010, 510)], 0.2).because
    assert because == "500 repeats of 1000 requests are more than 20% and 100"


def test_what_is_older_than_the_window_does_not_count() -> None:
    """A storm is forgotten ten seconds later."""
    storm = [Look(0, 0, 0), Look(1, 100, 300)]
    assert not decide(storm, 0.2).allowed
    assert not decide([*storm, Look(9, 200, 300)], 0.2).allowed
    assert decide([*storm, Look(1 + WINDOW, 200, 300)], 0.2).allowed


@given(
    st.integers(1, 10),
    st.floats(0.0, 1.0),
    st.lists(st.integers(0, 200), min_size=220, max_size=400),
)
def test_a_failing_service_gets_little_more_than_its_requests(
    attempts: int, budget: float, arrivals: list[int]
) -> None:
    """Every request fails, every repeat too, looked at each 50 ms: in any ten seconds the repeats are within the budget
    and what one look lets through."""
    looks, allowed = [Look(0.0, 0, 0)], True
    for number, count in enumerate(arrivals, 1):
        before = looks[-1]
        repeats = attempts * count if allowed else 0
        looks.append(Look(number * 0.05, before.requests + count, before.retries + repeats))
        allowed = decide(looks, budget).allowed
    window = round(WINDOW / 0.05)
    for start in range(0, len(looks) - window, 20):
        begin, end = looks[start], looks[start + window]
        requests = end.requests - begin.requests
        most = AT_LEAST + budget * requests + 2 * attempts * max(arrivals)
        assert end.retries - begin.retries <= most
