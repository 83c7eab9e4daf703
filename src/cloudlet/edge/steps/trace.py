"""W3C trace context (traceparent), made where a request has none."""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.steps.fragment import NOTHING, Fragment


def fragment(configuration: EdgeConfiguration) -> Fragment:
    return NOTHING
