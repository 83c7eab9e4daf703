"""The twins by the names that the file gives the algorithms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from cloudlet.policy.limits.decision import Decision, Quota
from cloudlet.policy.limits.fixed_window import FixedWindow
from cloudlet.policy.limits.leaky_bucket import LeakyBucket
from cloudlet.policy.limits.sliding_counter import SlidingCounter
from cloudlet.policy.limits.sliding_log import SlidingLog
from cloudlet.policy.limits.token_bucket import TokenBucket


class Twin(Protocol):
    """One algorithm. The state is its own."""

    def begin(self) -> Any:
        """Of somebody who has not asked yet."""

    def decide(self, quota: Quota, state: Any, now: int) -> tuple[Decision, Any]:
        """What a request gets at `now`, in microseconds, and the state after it."""


ALGORITHMS: Mapping[str, Twin] = {
    "fixed-window": FixedWindow(),
    "sliding-log": SlidingLog(),
    "sliding-counter": SlidingCounter(),
    "token-bucket": TokenBucket(),
    "leaky-bucket": LeakyBucket(),
}
