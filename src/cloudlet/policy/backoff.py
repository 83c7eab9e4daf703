"""How long a process that ended waits for its restart, and when its ends make a crash loop.

The first restart is immediate: most ends are single, and every millisecond without the instance is capacity
lost. From the second on the delay doubles up to a cap, so that a broken program costs next to nothing. A run
of `RAN_WELL` seconds makes the next end a first one again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

#: seconds before the second restart in a row; doubles with each further one
SECOND_DELAY = 0.5
#: seconds, the most that a restart waits
LONGEST_DELAY = 30.0
#: seconds that a process has to run for its past ends to be forgotten
RAN_WELL = 60.0
#: ends in a row that make a crash loop
LOOP_ENDS = 5


@dataclass(frozen=True, slots=True)
class Backoff:
    """The unexpected ends of one process, oldest first, the present one included, and when it was last
    started (before the end before, or 0, when this time it could not even be started). Seconds on one
    clock."""

    deaths: tuple[float, ...]
    started: float


@dataclass(frozen=True, slots=True)
class Delay:
    """`delay` is the seconds to wait until the restart."""

    delay: float
    because: str


def restart_delay(view: Backoff, now: float) -> Delay:
    """How long the process waits for its next start."""
    row = _row(view.deaths)
    if _ran(view) >= RAN_WELL:
        return Delay(0.0, f"it starts at once, for it ran {_ran(view):.0f} s")
    if len(row) <= 1:
        return Delay(0.0, "it starts at once, for this is its first end in a row")
    delay = _delay(len(row))
    waited = max(0.0, now - row[-1])
    return Delay(max(0.0, delay - waited), f"it starts {delay:g} s after its end, number {len(row)} in a row")


def crash_looping(deaths: tuple[float, ...], now: float) -> str:
    """Why this is a crash loop, or nothing. It ends when the process has run well since its last end."""
    row = _row(deaths)
    if len(row) < LOOP_ENDS or now - row[-1] >= _delay(len(row)) + RAN_WELL:
        return ""
    return f"it ended {len(row)} times within {row[-1] - row[0]:.0f} s and never ran for {RAN_WELL:.0f} s"


def _row(deaths: tuple[float, ...]) -> tuple[float, ...]:
    """The latest ends without a good run between them: the time between two is a delay and then a run."""
    first = 0
    for index, (before, after) in enumerate(pairwise(deaths), start=1):
        if after - before - _delay(index - first) >= RAN_WELL:
            first = index
    return deaths[first:]


def _delay(ends: int) -> float:
    """Seconds from the last of so many ends in a row to the restart."""
    # the exponent is bounded, for a row may grow without end and a float may not
    return 0.0 if ends <= 1 else min(LONGEST_DELAY, SECOND_DELAY * 2.0 ** min(ends - 2, 30))


def _ran(view: Backoff) -> float:
    """Seconds of the last run; 0 when there was none since the end before."""
    if not view.deaths:
        return 0.0
    before = view.deaths[-2] if len(view.deaths) > 1 else 0.0
    return max(0.0, view.deaths[-1] - view.started) if view.started > before else 0.0
