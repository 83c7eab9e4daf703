"""When a process that ended by itself is started again. Pure: whether, and after how many seconds."""

from __future__ import annotations

from dataclasses import dataclass

NEVER = "never"
UNATTENDED = "unattended"
ON_FAILURE = "on-failure"

#: seconds a process must have lived for its end not to count as one more in a row
_STEADY_AFTER = {UNATTENDED: 10.0, ON_FAILURE: 1.0}
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended. `failed` is false only for a known exit status of 0; `released` means that nobody
    wants it back: it was stopped on purpose, or has not been confirmed as a successor yet."""

    restart: str
    failed: bool
    released: bool
    quick_deaths: int


def delay(ended: Ended, *, attended: bool) -> float | None:
    """Seconds until it is started again, None for not at all."""
    if ended.released or ended.restart == NEVER:
        return None
    if ended.restart == UNATTENDED and attended:
        return None
    if ended.restart == ON_FAILURE and not ended.failed:
        return None
    return _delay_after(ended.quick_deaths)


def _delay_after(quick_deaths: int) -> float:
    """0, 0.1, 0.2, 0.4 … 10 s: the first at once, even when it lived only briefly."""
    if quick_deaths <= 1:
        return 0.0
    return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(quick_deaths - 2, 16))


def quick_deaths(before: int, restart: str, lived: float) -> int:
    """How many ends in a row came too soon, after one more process that lived this many seconds."""
    return before + 1 if lived < _STEADY_AFTER.get(restart, 0.0) else 0
