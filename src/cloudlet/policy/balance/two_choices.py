"""Random, the less loaded of two (Mitzenmacher 2001, "The power of two choices").

Held equal with HAProxy's `random(2)`: both draws are in proportion to weight and may fall on the same server,
and the one with fewer requests in flight for its weight wins. Not held equal: between equally loaded ones
newer HAProxy takes the lower request rate, here the first draw wins.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from cloudlet.policy.balance.server import NOBODY, Choice, Request, Server, Servers

_LESS = "of two drawn at random it has fewer requests in flight"
_SAME = "both draws fell on it"


class TwoChoices:
    """No state; the randomness is the request's `draws`."""

    def begin(self) -> None:
        return None

    def choose(self, servers: Servers, request: Request, state: None) -> tuple[Choice, None]:
        present = [server for server in servers if server.available and server.weight > 0]
        if not present:
            return NOBODY, None
        reach = list(accumulate([server.weight for server in present]))
        one, other = (_drawn(present, reach, draw) for draw in request.draws)
        if one is other:
            return Choice(one, _SAME), None
        less = other if other.connections * one.weight < one.connections * other.weight else one
        return Choice(less, _LESS), None


def _drawn(servers: list[Server], reach: list[float], draw: float) -> Server:
    # rounding may carry a draw just below 1 past the end
    return servers[min(bisect_right(reach, draw * reach[-1]), len(servers) - 1)]
