"""Fixed window: so many requests in each window; windows begin at multiples of their length on the clock.

Twice the limit can pass within an instant, the one half at a window's end and the other at the next one's beginning:
that is what this algorithm is. A refused request counts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudlet.policy.limits.decision import Decision, Quota


@dataclass(frozen=True, slots=True)
class Window:
    """`count` requests were let in in window `number`."""

    number: int = -1
    count: int = 0


class FixedWindow:
    def begin(self) -> Window:
        return Window()

    def decide(self, quota: Quota, state: Window, now: int) -> tuple[Decision, Window]:
        limit, number = int(quota.count), now // quota.per
        count = state.count if state.number == number else 0
        left = (number + 1) * quota.per - now
        if count >= limit:
            because = f"{count} of {limit} requests of this window are spent"
            return Decision(False, 0, left, left, because=because), state
        count += 1
        because = f"it is request {count} of {limit} in this window"
        return Decision(True, limit - count, 0, left, because=because), Window(number, count)
