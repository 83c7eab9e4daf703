"""How long a process waits for its restart, and what is a crash loop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.backoff import LONGEST_DELAY, Backoff, crash_looping, restart_delay


def crashing(count: int, runs: float) -> tuple[list[float], list[float]]:
    """A process that ends `runs` seconds after each start: its ends, and the delay after each."""
    ends: list[float] = []
    delays: list[float] = []
    started = 1000.0
    for _ in range(count):
        ends.append(started + runs)
        delays.append(restart_delay(Backoff(tuple(ends[-20:]), started), ends[-1]).delay)
        started = ends[-1] + delays[-1]
    return ends, delays


def test_the_first_restart_is_immediate_and_the_next_ones_wait_ever_longer() -> None:
    """At once, then half a second, doubling up to thirty seconds."""
    _, delays = crashing(10, runs=0.0)
    assert delays == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_process_that_ran_well_starts_over() -> None:
    """One end a minute or more apart is no row."""
    _, delays = crashing(30, runs=61.0)
    assert set(delays) == {0.0}


def test_a_process_that_cannot_be_started_waits_too() -> None:
    """Where no start succeeded since the end before, nothing ran well, however long ago the last start
    was."""
    view = Backoff(deaths=(1000.0, 1000.0, 1000.5), started=100.0)
    assert restart_delay(view, 1000.5).delay == 1.0
    assert restart_delay(Backoff((1000.0, 1000.0), started=0.0), 1000.0).delay == 0.5


def test_it_counts_from_the_end_not_from_the_decision() -> None:
    """A decision that comes late, after cloudlet's own restart, waits only for what is left."""
    view = Backoff(deaths=(10.0, 11.0, 12.0), started=11.5)
    assert restart_delay(view, 12.25).delay == 0.75
    assert restart_delay(view, 60.0).delay == 0.0


def test_five_ends_in_a_row_are_a_crash_loop_until_it_runs_well() -> None:
    """Also when the delays have grown so long that a minute holds fewer than five ends."""
    ends, _ = crashing(15, runs=1.0)
    assert crash_looping(tuple(ends[:4]), ends[3]) == ""
    assert "5 times" in crash_looping(tuple(ends[:5]), ends[4])
    assert crash_looping(tuple(ends), ends[-1])
    assert crash_looping(tuple(ends), ends[-1] + 90) == ""


def test_ends_far_apart_are_no_crash_loop() -> None:
    """A process that ends once an hour is unlucky, not looping."""
    assert crash_looping(tuple(3600.0 * hour for hour in range(20)), 19 * 3600.0) == ""


@given(st.lists(st.floats(0, 1e9), max_size=40), st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_delay_is_never_negative_nor_above_the_cap(deaths: list[float], started: float, later: float) -> None:
    """Whatever the clock did."""
    ordered = tuple(sorted(deaths))
    now = (ordered[-1] if ordered else 0.0) + later
    decided = restart_delay(Backoff(ordered, started), now)
    assert 0.0 <= decided.delay <= LONGEST_DELAY
    assert decided.because
    assert isinstance(crash_looping(ordered, now), str)
