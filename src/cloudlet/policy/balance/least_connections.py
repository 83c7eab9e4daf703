"""Least connections: the fewest requests in flight, whatever the weight.

Held equal with HAProxy's `leastconn` at equal weights: the server chosen has the fewest in flight, and equals
take turns. Not held equal: the order of those turns. During a slow start HAProxy's weights differ even here:
use the weighted twin with `slow_start.ramped` for that.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloudlet.policy.balance.server import NOBODY, Choice, Request, Servers

_FEWEST = "it has the fewest requests in flight"


class LeastConnections:
    """The state is the turn by ordinal in which a server was last chosen; under key 0 the last turn."""

    def begin(self) -> Mapping[int, int]:
        return {}

    def choose(self, servers: Servers, request: Request, state: Mapping[int, int]) -> tuple[Choice, Mapping[int, int]]:
        chosen = None
        fewest = longest_ago = 0
        for server in servers:
            if not server.available:
                continue
            load, turn = server.connections, state.get(server.ordinal, 0)
            if chosen is None or load < fewest or (load == fewest and turn < longest_ago):
                chosen, fewest, longest_ago = server, load, turn
        if chosen is None:
            return NOBODY, state
        turn = state.get(0, 0) + 1
        return Choice(chosen, _FEWEST), {**state, 0: turn, chosen.ordinal: turn}
