"""Smooth weighted round robin: turns in proportion to weight, spread evenly instead of in bursts.

Every choice gives each available server its weight as credit, takes the one with most, and takes the sum of
weights from it (nginx's algorithm). Held equal with HAProxy's `roundrobin`: over a full cycle (the sum of
weights divided by their greatest common divisor) each gets exactly its share, and no server runs ahead of its
share by more than one turn. Not held equal: the order within a cycle, and a server's place in it after its
weight changed.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloudlet.policy.balance.server import NOBODY, Choice, Request, Servers

_TURN = "it is the turn of its weight"


class WeightedRoundRobin:
    """The state is the credit by ordinal of each server that was available; one that comes begins with
    none."""

    def begin(self) -> Mapping[int, float]:
        return {}

    def choose(
        self, servers: Servers, request: Request, state: Mapping[int, float]
    ) -> tuple[Choice, Mapping[int, float]]:
        credits: dict[int, float] = {}
        chosen = None
        best = total = 0.0
        for server in servers:
            weight = server.weight
            if not server.available or weight <= 0:
                continue
            credit = credits[server.ordinal] = state.get(server.ordinal, 0.0) + weight
            total += weight
            if chosen is None or credit > best:
                chosen, best = server, credit
        if chosen is None:
            return NOBODY, credits
        credits[chosen.ordinal] = best - total
        return Choice(chosen, _TURN), credits
