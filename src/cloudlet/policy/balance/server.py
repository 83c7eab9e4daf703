"""What an algorithm sees and says: servers and a request in, a choice and the next state out.

A caller keeps a sequence of servers and replaces the entry that changed; nothing here writes to it. Times in
seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from cloudlet.policy.weights import USUAL_WEIGHT

#: servers as they are now; their order matters only between equals
Servers = Sequence["Server"]


@dataclass(frozen=True, slots=True)
class Server:
    """One server. `ordinal` (1, 2, …) is its place in hashing; `connections` are those it works on and
    queues; `cpu` is the share of its CPU in use. Not `available` is down, draining or ejected."""

    name: str
    ordinal: int
    weight: float = USUAL_WEIGHT
    connections: int = 0
    available: bool = True
    response_time: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of a request. `draws` are random numbers in [0, 1), for the algorithms that need some."""

    address: str = ""
    key: str | None = None
    draws: tuple[float, float] = (0.0, 0.0)


class Choice(NamedTuple):
    """Where the request goes; `server` is None when none is available."""

    server: Server | None
    because: str


NOBODY = Choice(None, "no server is available")

State = TypeVar("State")


class Balancer(Protocol[State]):
    """An algorithm. It holds settings only; whatever it has to remember is in the state, which no one
    changes."""

    def begin(self) -> State:
        """The state before the first request."""

    def choose(self, servers: Servers, request: Request, state: State) -> tuple[Choice, State]:
        """Where this request goes, and the state for the next."""
