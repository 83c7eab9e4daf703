"""Rate limits by user and key, and the waiting of leaky buckets, when everything else has let the request pass."""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.limits.plan import Stage, plan
from cloudlet.edge.limits.stage import rules
from cloudlet.edge.steps.fragment import NOTHING, Fragment


def fragment(configuration: EdgeConfiguration) -> Fragment:
    made = plan(configuration)
    lines = rules(made, Stage.IDENTITIES)
    if any(slot.limit.algorithm == "leaky-bucket" for slot in made.slots):
        lines.append("http-request lua.limit_wait if { var(txn.limit_until) -m found }")
    return Fragment(rules=tuple(lines)) if lines else NOTHING
