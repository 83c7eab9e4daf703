"""Least response time: turns by weights that follow the measured response times.

HAProxy has no such algorithm: it runs `roundrobin`, and the control loop sets its weights once a look by
`policy.weights`. So the twin is weighted round robin, and `reweigh` is the very decision that the loop takes.
What is held equal, and what isn't, is as for weighted round robin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cloudlet.policy.balance.server import Server, Servers
from cloudlet.policy.balance.weighted_round_robin import WeightedRoundRobin
from cloudlet.policy.weights import Measured, by_response_time


class LeastResponseTime(WeightedRoundRobin):
    """The state is the credit, as for weighted round robin."""


def reweigh(servers: Servers, requests: Mapping[str, int]) -> tuple[Server, ...]:
    """The servers with their next weights, by their response times and the requests each had since the last
    look."""
    seen = [Measured(s.name, int(s.weight), s.response_time, requests.get(s.name, 0)) for s in servers if s.available]
    decided = {weight.name: weight.weight for weight in by_response_time(seen)}
    return tuple(replace(server, weight=decided.get(server.name, server.weight)) for server in servers)
