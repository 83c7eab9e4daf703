"""Sliding log: the time of every request let in is kept for a window's length; within any such length there are never
more than the limit. Exact, and the dearest: it keeps as many times as the limit is high, for every client. A refused
request is not in the log.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudlet.policy.limits.decision import Decision, Quota


@dataclass(frozen=True, slots=True)
class Log:
    """When requests were let in, the oldest first."""

    times: tuple[int, ...] = ()


class SlidingLog:
    def begin(self) -> Log:
        return Log()

    def decide(self, quota: Quota, state: Log, now: int) -> tuple[Decision, Log]:
        limit = int(quota.count)
        gone = 0
        while gone < len(state.times) and state.times[gone] <= now - quota.per:
            gone += 1
        times = state.times[gone:]
        if len(times) >= limit:
            because = f"{limit} requests came within the last window"
            retry, reset = times[-limit] + quota.per - now, times[-1] + quota.per - now
            return Decision(False, 0, retry, reset, because=because), Log(times)
        times = (*times, now)
        because = f"it is request {len(times)} of {limit} within the last window"
        return Decision(True, limit - len(times), 0, quota.per, because=because), Log(times)
