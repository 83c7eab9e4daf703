"""Sliding counter: the present window's count, and the previous one's by the share of it that still lies within the
last window's length (as if its requests had come evenly).

That sum never passes the limit. The true count within a window's length can: 2 × limit − 1 in the worst case, when all
of the previous window's came at its very end; nothing like it when requests come evenly. A refused request counts
nothing. Counted in requests × milliseconds, so that all is whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudlet.policy.limits.decision import Decision, Quota

_MILLISECOND = 1000


@dataclass(frozen=True, slots=True)
class Counter:
    """Requests let in in window `number` and in the one before."""

    number: int = -2
    current: int = 0
    previous: int = 0


class SlidingCounter:
    def begin(self) -> Counter:
        return Counter()

    def decide(self, quota: Quota, state: Counter, now: int) -> tuple[Decision, Counter]:
        limit, window, at = int(quota.count), quota.per // _MILLISECOND, now // _MILLISECOND
        state = _turned(state, at // window)
        left = window - at % window
        free = (limit * window - state.current * window - state.previous * left) // window
        reset = left + (window if state.current else 0)
        if free < 1:
            retry = _retry(state, limit, window, left)
            because = f"{limit} requests within the last window are spent"
            return Decision(False, 0, retry * _MILLISECOND, reset * _MILLISECOND, because=because), state
        after = Counter(state.number, state.current + 1, state.previous)
        because = f"{free} of {limit} requests were left in the last window"
        return Decision(True, free - 1, 0, (left + window) * _MILLISECOND, because=because), after


def _turned(state: Counter, number: int) -> Counter:
    if state.number == number:
        return state
    return Counter(number, 0, state.current if state.number == number - 1 else 0)


def _retry(state: Counter, limit: int, window: int, left: int) -> int:
    """Milliseconds until the previous window's share has shrunk enough; where the present window's own count is the
    limit already, that is in the next one."""
    room = limit - 1 - state.current
    if room >= 0:
        return left - room * window // state.previous
    return left + -(-window // state.current)
