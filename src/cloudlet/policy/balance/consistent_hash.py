"""Consistent hashing by a key of the request, with an optional bound on the load.

The bound is Mirrokni, Thorup and Zadimoghaddam's (2016). Held equal with HAProxy's `hash-type consistent` and
`hash-balance-factor`: shares in proportion to weight, a key stays where it is while its server does, a
leaving server moves its own keys and no other, and the bound: HAProxy's division of (in flight + 1) times the
bound into slots by weight, each server at least one, whole slots in all. Not held equal: which server a given
key has, and where requests without the key go (here in proportion to weight, at random).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from cloudlet.policy.balance.ring import POINTS, HashRing, position_of
from cloudlet.policy.balance.server import NOBODY, Choice, Request, Server, Servers

_OWNER = "its key belongs to it"
_NEXT = "the owner of its key is not available, and it is next on the ring"
_BOUND = "those before it on the ring have reached the bound of their load"
_FULL = "its key belongs to it, and every server has reached the bound of its load"
_NO_KEY = "it has no key, so it goes anywhere"


class ConsistentHash:
    """`bound` is the share of the mean load at which a server passes requests on (1.25), None for no bound.
    The state is the ring of all servers, also those not available; it is built anew when one comes, goes or
    weighs otherwise."""

    def __init__(self, bound: float | None = None) -> None:
        self._bound = bound

    def begin(self) -> HashRing:
        return HashRing(())

    def choose(self, servers: Servers, request: Request, state: HashRing) -> tuple[Choice, HashRing]:
        key = self.key(request)
        members = tuple([(str(server.ordinal), int(server.weight * POINTS)) for server in servers])
        ring = state if state.members == members else HashRing(members)
        position = int(request.draws[0] * 2**32) if key is None else position_of(key.encode())
        because = _NO_KEY if key is None else _OWNER
        if self._bound is not None:
            return self._within_bound(servers, ring.walk(position), self._bound, because), ring
        for place, index in enumerate(ring.walk(position)):
            if servers[index].available:
                return Choice(servers[index], because if place == 0 else _NEXT), ring
        return NOBODY, ring

    def key(self, request: Request) -> str | None:
        """What is hashed."""
        return request.key

    def _within_bound(self, servers: Servers, order: Iterator[int], bound: float, because: str) -> Choice:
        room = slots(servers, bound)
        first: Server | None = None
        for place, index in enumerate(order):
            server = servers[index]
            if not server.available:
                continue
            if server.connections < room[server.ordinal]:
                if first is not None:
                    because = _BOUND
                elif place > 0:
                    because = _NEXT
                return Choice(server, because)
            first = first or server
        return NOBODY if first is None else Choice(first, _FULL)


def slots(servers: Servers, bound: float) -> dict[int, int]:
    """How many requests each available server may have in flight, by ordinal, the present one included."""
    present = [server for server in servers if server.available and server.weight > 0]
    total = ceil((sum(server.connections for server in present) + 1) * bound)
    weights = sum(server.weight for server in present)
    given: dict[int, int] = {}
    before = 0.0
    for server in present:
        after = before + server.weight
        given[server.ordinal] = max(1, int(after * total / weights) - int(before * total / weights))
        before = after
    return given
