"""Leaky bucket as a queue: requests leave one every interval, at most `burst` wait, and more are refused.

The outflow is constant however they come in. A request that finds nobody before it and the last one gone for an
interval leaves at once. A refused request takes no place.
"""

from __future__ import annotations

from cloudlet.policy.limits.bucket import Backlog, drained, microseconds
from cloudlet.policy.limits.decision import Decision, Quota


class LeakyBucket:
    def begin(self) -> Backlog:
        return Backlog()

    def decide(self, quota: Quota, state: Backlog, now: int) -> tuple[Decision, Backlog]:
        _, interval = quota.pace
        state = drained(quota, state, now)
        most = quota.burst * interval
        if state.level > most:
            retry, reset = microseconds(quota, state.level - most), microseconds(quota, state.level)
            return Decision(False, 0, retry, reset, because=f"{quota.burst} requests wait already"), state
        after = Backlog(state.level + interval, state.at)
        places = (most + interval - after.level) // interval
        delay = microseconds(quota, state.level)
        because = f"it leaves after {delay} µs" if delay else "nobody is before it"
        return Decision(True, places, 0, microseconds(quota, after.level), delay, because), after
