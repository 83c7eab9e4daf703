"""The retry budget: repeats may be a share of the requests of the last ten seconds; beyond it none are made until the
share has fallen. The pure twin of what runs within HAProxy (edge/retries.lua).

A few are always allowed, so that a service with little traffic is not left without: a share of five requests is one.
And one crash is no storm: what an instance had when it died is repeated all at once, so at first repeats may be too
many for `GRACE`, and again when the budget was not spent for `CALM`.

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
#: seconds that further repeats come while they are too many, until none are made; without a spent budget for so long
GRACE, CALM = 1.0, 30.0
#: seconds in which a storm has further repeats
MOMENT = 0.25


@dataclass(frozen=True, slots=True)
class Look:
    """What the counters said: requests and repeats since the process began."""

    at: float
    requests: int
    retries: int


@dataclass(frozen=True, slots=True)
class State:
    """`storm_since` is when repeats began to be too many and go on, `spent_at` when the budget was last spent."""

    spent: bool = False
    storm_since: float | None = None
    spent_at: float | None = None


_CALM = State()


@dataclass(frozen=True, slots=True)
class Decision:
    state: State
    because: str

    @property
    def allowed(self) -> bool:
        return not self.state.spent


def decide(looks: Sequence[Look], budget: float, state: State = _CALM) -> Decision:
    """Whether repeats are made after the last of these looks, oldest first. `budget` is a share."""
    present = looks[-1]
    before = _before(looks, present.at - WINDOW)
    retries, requests = present.retries - before.retries, present.requests - before.requests
    over = retries >= AT_LEAST + budget * requests
    storm = over and present.retries > _before(looks, present.at - MOMENT).retries
    since = (present.at if state.storm_since is None else state.storm_since) if storm else None
    calm = state.spent_at is None or present.at - state.spent_at >= CALM
    spent = over and (state.spent or (since is not None and present.at - since >= (GRACE if calm else 0)))
    within = "more than" if over else "within"
    because = f"{retries} repeats of {requests} requests are {within} {budget:.0%} and {AT_LEAST}"
    return Decision(State(spent, since, present.at if spent else state.spent_at), because)


def _before(looks: Sequence[Look], at: float) -> Look:
    """The youngest look that is so old, or the oldest there is."""
    return next((look for look in reversed(looks) if look.at <= at), looks[0])
