"""Token bucket: it holds `burst` tokens, one comes back every interval, each request takes one.

So in any time t at most burst + rate × t requests pass. A refused request takes no token.
"""

from __future__ import annotations

from cloudlet.policy.limits.bucket import Backlog, drained, microseconds
from cloudlet.policy.limits.decision import Decision, Quota


class TokenBucket:
    def begin(self) -> Backlog:
        return Backlog()

    def decide(self, quota: Quota, state: Backlog, now: int) -> tuple[Decision, Backlog]:
        _, interval = quota.pace
        state = drained(quota, state, now)
        most = (quota.burst - 1) * interval
        if state.level > most:
            retry, reset = microseconds(quota, state.level - most), microseconds(quota, state.level)
            return Decision(False, 0, retry, reset, because="the bucket has no whole token"), state
        after = Backlog(state.level + interval, state.at)
        left = (quota.burst * interval - after.level) // interval
        because = f"it takes a token and leaves {left} of {quota.burst}"
        return Decision(True, left, 0, microseconds(quota, after.level), because=because), after
