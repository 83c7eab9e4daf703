"""Numbers that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule


def min_above_max(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        low, high = service.instances.min, service.instances.max
        if low > high:
            path: Path = ("services", name, "instances", "min")
            yield Finding(path, f"{dotted(path)}: {low} is above max, which is {high}", f"write at most {high}")


def deployment_moves(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        deployment = service.deployment
        if deployment.max_surge == 0 and deployment.max_unavailable == 0:
            path: Path = ("services", name, "deployment")
            message = f"{dotted(path)}: with max_surge 0 and max_unavailable 0 no instance can ever be replaced"
            yield Finding(path, message, "set one of them to 1", key=True)


RULES: tuple[Rule, ...] = (min_above_max, deployment_moves)
