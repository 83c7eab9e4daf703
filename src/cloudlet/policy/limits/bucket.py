"""What token and leaky bucket share: a backlog that each request raises by one interval and time lowers.

The token bucket's backlog are the tokens that are missing, the leaky bucket's the time until the queue is empty (the
"virtual scheduling algorithm" of ITU-T I.371, also known as GCRA). In units of 1/p µs (Quota.pace), so that the
interval is a whole number and nothing is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudlet.policy.limits.decision import Quota


@dataclass(frozen=True, slots=True)
class Backlog:
    """It was `level` at the time `at`."""

    level: int = 0
    at: int = 0


def drained(quota: Quota, state: Backlog, now: int) -> Backlog:
    """A clock that was set back drains nothing."""
    p, _ = quota.pace
    elapsed = max(0, now - state.at)
    return Backlog(max(0, state.level - elapsed * p), max(now, state.at))


def microseconds(quota: Quota, level: int) -> int:
    """How long the level takes to drain, rounded up."""
    return -(-level // quota.pace[0])
