"""The steps of a request's life at the gateway that files ask for, in FILE.md's fixed order."""

from __future__ import annotations

from collections.abc import Callable

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.steps import (
    accept,
    addresses,
    answers,
    cache,
    compression,
    cors,
    count,
    guard,
    headers,
    limit_addresses,
    limit_identities,
    protect,
    rewrite,
    routing,
    timeouts,
    trace,
)
from cloudlet.edge.steps.fragment import Fragment

__all__ = ["ORDER", "Fragment", "fragments"]

#: normalising, stripping and the request id come before; holding and balancing after
ORDER: tuple[Callable[[EdgeConfiguration], Fragment], ...] = (
    trace.fragment,
    routing.fragment,
    count.fragment,
    cors.mark,
    addresses.fragment,
    limit_addresses.fragment,
    cors.fragment,
    guard.fragment,
    limit_identities.fragment,
    accept.fragment,
    protect.fragment,
    answers.fragment,
    cache.fragment,
    rewrite.fragment,
    headers.fragment,
    compression.fragment,
    timeouts.fragment,
)


def fragments(configuration: EdgeConfiguration) -> tuple[Fragment, ...]:
    return tuple(step(configuration) for step in ORDER)
