"""The retry budget's decisions, and what they mean for the load on a service that fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.retry_budget import AT_LEAST, WINDOW, Look, State, decide

#: a budget that was spent a moment ago: there is no grace
TIGHT = State(spent_at=0.0)


@pytest.mark.parametrize(
    ("requests", "retries", "allowed"),
    [(0, 0, True), (5, 15, True), (0, AT_LEAST, False), (1000, 299, True), (1000, 300, False), (10_000, 0, True)],
)
def test_a_share_and_a_few(requests: int, retries: int, allowed: bool) -> None:
    """A fifth of the requests and a hundred; what is exactly that is spent."""
    assert decide([Look(0, 0, 0), Look(0.2, requests, retries)], 0.2, TIGHT).allowed is allowed


def test_the_reason_says_the_numbers() -> None:
    """For the journal."""
    because = decide([Look(0, 10, 10), Look(0.2, 1010, 510)], 0.2, TIGHT).because
    assert because == "500 repeats of 1000 requests are more than 20% and 100"


def test_what_is_older_than_the_window_does_not_count() -> None:
    """A storm is forgotten ten seconds later."""
    storm = [Look(0, 0, 0), Look(0.2, 100, 300)]
    spent = decide(storm, 0.2, TIGHT)
    assert not spent.allowed
    later = decide([*storm, Look(9, 200, 300)], 0.2, spent.state)
    assert not later.allowed
    assert decide([*storm, Look(9, 200, 300), Look(0.3 + WINDOW, 200, 300)], 0.2, later.state).allowed


def test_a_crash_is_no_storm() -> None:
    """A burst that is over within the grace spends nothing, nor do two; one that goes on does, after the grace."""
    looks, state, storm = [Look(0.0, 0, 0)], State(), 81
    for number in range(1, 130):
        burst = number <= 10 or 40 <= number < 50 or number >= storm
        before = looks[-1]
        looks.append(Look(number * 0.05, before.requests + 10, before.retries + (100 if burst else 0)))
        state = decide(looks, 0.2, state).state
        if number < storm + 15:
            assert not state.spent
    assert state.spent
    assert state.storm_since == pytest.approx(storm * 0.05)


@given(
    st.integers(1, 10),
    st.floats(0.0, 1.0),
    st.lists(st.integers(0, 200), min_size=220, max_size=260),
)
def test_a_failing_service_gets_little_more_than_its_requests(
    attempts: int, budget: float, arrivals: list[int]
) -> None:
    """Every request fails, every repeat too, looked at each 50 ms: in any ten seconds without grace the repeats are
    within the budget and what two looks let through."""
    looks, state = [Look(0.0, 0, 0)], State(spent_at=-1.0)
    for number, count in enumerate(arrivals, 1):
        before = looks[-1]
        repeats = 0 if state.spent else attempts * count
        looks.append(Look(number * 0.05, before.requests + count, before.retries + repeats))
        state = decide(looks, budget, state).state
    window = round(WINDOW / 0.05)
    for start in range(0, len(looks) - window, 20):
        begin, end = looks[start], looks[start + window]
        most = AT_LEAST + budget * (end.requests - begin.requests) + 2 * attempts * max(arrivals)
        assert end.retries - begin.retries <= most
