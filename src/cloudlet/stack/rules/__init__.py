"""What no model can see alone: rules over the whole design.

A rule yields a finding for each value that it refuses. Parts that did not fit their model are missing from
`design.stack` but still count as names: a mistake in one part is not reported again by whoever names it.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.findings import Finding
from cloudlet.stack.rules import (
    addresses,
    balancing,
    documents,
    egress,
    environment,
    gateway_service,
    grpc,
    identity,
    issuing,
    limits,
    names,
    programs,
    protocols,
    quantities,
    references,
    resilience,
    routes,
    shape,
)
from cloudlet.stack.rules.design import Design

__all__ = ["RULES", "Design", "examine"]

RULES = (
    *names.RULES,
    *references.RULES,
    *routes.RULES,
    *protocols.RULES,
    *balancing.RULES,
    *quantities.RULES,
    *addresses.RULES,
    *identity.RULES,
    *issuing.RULES,
    *limits.RULES,
    *environment.RULES,
    *programs.RULES,
    *gateway_service.RULES,
    *grpc.RULES,
    *documents.RULES,
    *egress.RULES,
    *shape.RULES,
    *resilience.RULES,
)


def examine(design: Design) -> Iterator[Finding]:
    """Every finding of every rule."""
    for rule in RULES:
        yield from rule(design)
