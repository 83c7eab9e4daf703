"""Addresses that cloudlet answers at the gateway by itself: token endpoints, and everything below `/.cloudlet/`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.gateway.matching import ROUTE_PATTERN
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule

_OWN = "/.cloudlet/"
_PLAIN = re.compile(ROUTE_PATTERN)


def token_endpoints(design: Design) -> Iterator[Finding]:
    """Each has a path of its own, which nothing else answers."""
    taken = {route.path: f"gateway.routes[{index}]" for index, route in design.routes if route.host is None}
    for name, jwt in design.stack.identity.jwt.items():
        if jwt.issue is None:
            continue
        path: Path = ("identity", "jwt", name, "issue", "path")
        asked = jwt.issue.path
        if not _PLAIN.fullmatch(asked) or {"*", "{"} & set(asked) or asked.startswith(_OWN) or asked == "/":
            message = f'{dotted(path)}: "{asked}" is no path of a token endpoint'
            yield Finding(path, message, "write a path like /oauth/token")
        elif asked in taken:
            message = f'{dotted(path)}: "{asked}" is answered by {taken[asked]}'
            yield Finding(path, message, "give one of them another path")
        else:
            taken[asked] = f"identity.jwt.{name}"


def own_paths(design: Design) -> Iterator[Finding]:
    """Sign-in, key sets and the gateway's own health are there, whatever a route says."""
    for index, route in design.routes:
        if route.path.startswith(_OWN):
            path: Path = ("gateway", "routes", index, "path")
            yield Finding(
                path, f'{dotted(path)}: "{route.path}" is cloudlet\'s own', "choose a path not below /.cloudlet/"
            )


RULES: tuple[Rule, ...] = (token_endpoints, own_paths)
