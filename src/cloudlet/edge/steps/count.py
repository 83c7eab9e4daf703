"""Each route's requests, errors and concurrency, for metrics, A/B tests and the bulkhead."""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.steps.fragment import NOTHING, Fragment


def fragment(configuration: EdgeConfiguration) -> Fragment:
    return NOTHING
