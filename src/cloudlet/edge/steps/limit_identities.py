"""Rate limits by user and key."""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.steps.fragment import NOTHING, Fragment


def fragment(configuration: EdgeConfiguration) -> Fragment:
    return NOTHING
