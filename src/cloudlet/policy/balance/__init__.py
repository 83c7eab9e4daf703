"""A pure twin of each balance algorithm: what the engine decides, as a function.

The tests compare them with the engine, the simulator runs them. Each file says what it holds equal with
HAProxy (the distribution, the stability, the share of keys that moves) and what it doesn't (mostly the order
between equals).
"""

from __future__ import annotations

from typing import Any

from cloudlet.policy.balance.consistent_hash import ConsistentHash
from cloudlet.policy.balance.ip_hash import IpHash
from cloudlet.policy.balance.least_connections import LeastConnections
from cloudlet.policy.balance.least_response_time import LeastResponseTime
from cloudlet.policy.balance.resource_based import ResourceBased
from cloudlet.policy.balance.ring import HashRing
from cloudlet.policy.balance.round_robin import RoundRobin
from cloudlet.policy.balance.server import Balancer, Choice, Request, Server, Servers
from cloudlet.policy.balance.two_choices import TwoChoices
from cloudlet.policy.balance.weighted_least_connections import WeightedLeastConnections
from cloudlet.policy.balance.weighted_round_robin import WeightedRoundRobin

__all__ = ["ALGORITHMS", "Balancer", "Choice", "HashRing", "Request", "Server", "Servers", "twin"]

#: by their names in the file
ALGORITHMS: dict[str, type[Balancer[Any]]] = {
    "round-robin": RoundRobin,
    "weighted-round-robin": WeightedRoundRobin,
    "least-connections": LeastConnections,
    "weighted-least-connections": WeightedLeastConnections,
    "ip-hash": IpHash,
    "consistent-hash": ConsistentHash,
    "least-response-time": LeastResponseTime,
    "random": TwoChoices,
    "resource-based": ResourceBased,
}


def twin(algorithm: str, bounded: float | None = None) -> Balancer[Any]:
    """The twin by its name in the file. `bounded` is for the hashes. Raises KeyError for a name that isn't
    one."""
    kind = ALGORITHMS[algorithm]
    return kind(bounded) if issubclass(kind, ConsistentHash) else kind()
