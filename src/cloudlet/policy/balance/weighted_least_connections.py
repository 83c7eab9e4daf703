"""Weighted least connections: the fewest requests in flight for its weight.

Held equal with HAProxy's `leastconn`: its key, (in flight + 1) / weight but 0 for an idle server whatever its
weight, so that idle servers take turns and a weight counts only under load. Not held equal: HAProxy picks
among equal keys by when they were queued, on several threads almost at random; here the one chosen longest
ago goes first.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloudlet.policy.balance.server import NOBODY, Choice, Request, Servers

_FEWEST = "it has the fewest requests in flight for its weight"


class WeightedLeastConnections:
    """The state is the turn by ordinal in which a server was last chosen; under key 0 the last turn."""

    def begin(self) -> Mapping[int, int]:
        return {}

    def choose(self, servers: Servers, request: Request, state: Mapping[int, int]) -> tuple[Choice, Mapping[int, int]]:
        chosen = None
        least = 0.0
        longest_ago = 0
        for server in servers:
            if not server.available or server.weight <= 0:
                continue
            load = (server.connections + 1) / server.weight if server.connections else 0.0
            turn = state.get(server.ordinal, 0)
            if chosen is None or load < least or (load == least and turn < longest_ago):
                chosen, least, longest_ago = server, load, turn
        if chosen is None:
            return NOBODY, state
        turn = state.get(0, 0) + 1
        return Choice(chosen, _FEWEST), {**state, 0: turn, chosen.ordinal: turn}
