"""Which engine counts a limit: HAProxy's stick tables, or a Valkey by a script (docs/decisions/0005-rate-limits.md)."""

from __future__ import annotations

from collections.abc import Iterable

from cloudlet.stack.gateway import Gateway, Route
from cloudlet.stack.gateway.limits import RateLimit


def in_store(limit: RateLimit, *, shared: bool) -> bool:
    """A stick table's entry holds a few numbers, not a log; and tables of several processes do not add up."""
    return shared or limit.algorithm == "sliding-log"


def needs_store(routes: Iterable[Route], gateway: Gateway, replicas: int) -> bool:
    """Whether any limit of the gateway or of these routes is counted in Valkey."""
    limits = (*gateway.rate_limits, *(limit for route in routes for limit in route.rate_limits))
    return any(in_store(limit, shared=replicas > 1) for limit in limits)
