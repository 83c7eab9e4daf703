"""Round robin: each in its turn, whatever its weight.

Held equal with HAProxy's `roundrobin` at equal weights: over any run of n available servers' turns each gets
one, and a server that comes or goes costs no other its turn. Not held equal: which server is first, and that
HAProxy counts per thread group. During a slow start HAProxy's weights differ even here: use the weighted twin
with `slow_start.ramped` for that.
"""

from __future__ import annotations

from cloudlet.policy.balance.server import NOBODY, Choice, Request, Servers

_TURN = "it is its turn"


class RoundRobin:
    """The state is the ordinal chosen last."""

    def begin(self) -> int:
        return 0

    def choose(self, servers: Servers, request: Request, state: int) -> tuple[Choice, int]:
        following = None
        first = None
        for server in servers:
            if not server.available:
                continue
            if first is None or server.ordinal < first.ordinal:
                first = server
            if server.ordinal > state and (following is None or server.ordinal < following.ordinal):
                following = server
        chosen = following or first
        return (NOBODY, state) if chosen is None else (Choice(chosen, _TURN), chosen.ordinal)
