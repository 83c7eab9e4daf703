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
#: ends further apart than this belong to different rows: the longest delay, then a run that went well
_ROW_GAP = LONGEST_DELAY + RAN_WELL


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
    if not row:
        return Delay(0.0, "it starts at once, for it never ended before")
    ran = _ran(view)
    if ran >= RAN_WELL:
        return Delay(0.0, f"it starts at once, for it ran {ran:.0f} s")
    if len(row) == 1:
        return Delay(0.0, "it starts at once, for this is its first end in a row")
    # the exponent is bounded: a row as long as a day of ends must not overflow a float
    delay = min(LONGEST_DELAY, SECOND_DELAY * 2.0 ** min(len(row) - 2, 30))
    waited = max(0.0, now - row[-1])
    return Delay(max(0.0, delay - waited), f"it starts {delay:g} s after its end, its {len(row)}th in a row")


def crash_looping(deaths: tuple[float, ...], now: float) -> str:
    """Why this is a crash loop, or nothing. It ends when the process outlives delay and good run since its
    last end."""
    row = _row(deaths)
    if len(row) < LOOP_ENDS or now - row[-1] >= _ROW_GAP:
        return ""
    return (
        f"it ended {len(row)} times within {row[-1] - row[0]:.0f} s, never running {_ROW_GAP:.0f} s between"
    )


def _row(deaths: tuple[float, ...]) -> tuple[float, ...]:
    """The latest ends that follow each other closely."""
    first = 0
    for index, (before, after) in enumerate(pairwise(deaths), start=1):
        if after - before >= _ROW_GAP:
            first = index
    return deaths[first:]


def _ran(view: Backoff) -> float:
    """Seconds of the last run; 0 when there was none since the end before."""
    before = view.deaths[-2] if len(view.deaths) > 1 else 0.0
    return max(0.0, view.deaths[-1] - view.started) if view.started > before else 0.0
