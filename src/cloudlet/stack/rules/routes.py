"""Routes: every request has one, and none can be written in two ways."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule


def duplicates(design: Design) -> Iterator[Finding]:
    first: dict[tuple[str | None, str], int] = {}
    for index, route in design.routes:
        known = first.setdefault((route.host, route.path), index)
        if known != index:
            path: Path = ("gateway", "routes", index, "path")
            host = f" of {route.host}" if route.host else ""
            message = f'{dotted(path)}: "{route.path}"{host} has a route already, gateway.routes[{known}]'
            yield Finding(path, message, "remove one of them")


def normal(design: Design) -> Iterator[Finding]:
    """The edge normalises paths before it routes, so one that is not normal would never be asked for."""
    for index, route in design.routes:
        steps = route.path.split("/")[1:]
        if "" in steps[:-1] or {".", ".."} & set(steps):
            path: Path = ("gateway", "routes", index, "path")
            reason = 'holds "//", "." or "..", which no request has when it is routed'
            message = f'{dotted(path)}: "{route.path}" {reason}'
            yield Finding(path, message, "write the path as it is after these are resolved")


RULES: tuple[Rule, ...] = (duplicates, normal)
