"""The retry budget: repeats may be a share of the requests of the last ten seconds; beyond it none are made until the
share has fallen. The pure twin of what runs within HAProxy (edge/retries.lua).

A few are always allowed, so that a service with little traffic is not left without: a share of five requests is one.
The decision is made from counters at a few looks a second, so what is repeated between two looks comes on top: with
`attempts` repeats each at most `attempts × look / WINDOW` of the requests, 1.5 % with 3 attempts and 50 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: seconds
WINDOW = 10.0
#: repeats within a window that are always allowed
AT_LEAST = 100


@dataclass(frozen=True, slots=True)
class Look:
    """What the counters said: requests and repeats since the process began."""

    at: float
    requests: int
    retries: int


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    because: str


def decide(looks: Sequence[Look], budget: float) -> Decision:
    """Whether repeats are made after the last of these looks, oldest first. `budget` is a share."""
    present = looks[-1]
    old = [look for look in looks if look.at <= present.at - WINDOW]
    before = old[-1] if old else looks[0]
    retries, requests = present.retries - before.retries, present.requests - before.requests
    allowed = retries < AT_LEAST + budget * requests
    within = "within" if allowed else "more than"
    because = f"{retries} repeats of {requests} requests are {within} {budget:.0%} and {AT_LEAST}"
    return Decision(allowed, because)
