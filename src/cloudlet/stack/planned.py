"""What FILE promises and nothing does yet: known keys that are refused, never ignored.

The one table of them; whoever builds a key deletes its line. `*` stands for any name or list position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path

#: key → what it will do
KEYS: Mapping[tuple[str, ...], str] = {
    ("identity",): "API keys, tokens, sign-in and roles",
    ("egress",): "rules for what services may reach outside",
    ("queues",): "work handed on and never lost",
    ("topics",): "one message to many queues",
    ("streams",): "the event log with replay",
    ("messaging",): "the SQS and SNS interfaces",
    ("functions",): "code that runs on events",
    ("objects",): "the object store",
    ("channels",): "WebSocket, server-sent events and MQTT",
    ("cdn",): "the edge cache",
    ("dns",): "names and resolvers",
    ("observe",): "history, alerts and traces",
    ("regions",): "places",
    ("faults",): "planned faults",
    ("plan",): "users and prices for the plan",
    ("services", "*", "consumes"): "workers fed from a queue",
    ("services", "*", "scaling"): "capacity that follows the load",
    ("services", "*", "breaker"): "circuit breakers",
    ("services", "*", "instances", "warm"): "instances kept ready",
    ("services", "*", "retries", "budget"): "a bound on retries as a share of requests",
    ("edge", "replicas"): "more than one edge",
    ("gateway", "rate_limits"): "limits for all routes",
    ("gateway", "cors"): "cross-origin requests",
    ("gateway", "headers"): "headers set or removed",
    ("gateway", "routes", "*", "methods"): "routes by method",
    ("gateway", "routes", "*", "headers"): "routes by header",
    ("gateway", "routes", "*", "require"): "authentication and authorisation",
    ("gateway", "routes", "*", "rate_limits"): "limits per route",
    ("gateway", "routes", "*", "cors"): "cross-origin requests",
    ("gateway", "routes", "*", "aggregate"): "one answer from several services",
    ("gateway", "routes", "*", "static"): "files",
    ("gateway", "routes", "*", "redirect"): "redirects",
    ("gateway", "routes", "*", "cache"): "cached answers",
    ("databases", "*", "replicas"): "read replicas",
    ("databases", "*", "synchronous"): "commits that wait for a replica",
    ("databases", "*", "pool"): "pooled connections",
    ("databases", "*", "shards"): "sharding",
    ("databases", "*", "backup"): "backups",
    ("databases", "*", "changes"): "change data capture",
}
#: key → values that are promised
VALUES: Mapping[tuple[str, ...], frozenset[str]] = {
    ("services", "*", "deployment", "strategy"): frozenset({"blue-green", "canary", "shadow", "recreate", "big-bang"}),
}
#: what a route's path and target will also take
PARAMETERS = "paths with {parameters}"
TARGETS = "several targets with weights, and targets that are no service"


def take_out(data: object) -> list[Finding]:
    """Removes every planned key and value from the data and says so."""
    findings = [
        _take(parent, key, path, f"{dotted(path)} is not built yet ({meaning})")
        for pattern, meaning in KEYS.items()
        for parent, key, path in list(_matches(data, pattern))
    ]
    for pattern, values in VALUES.items():
        for parent, key, path in list(_matches(data, pattern)):
            if str(parent[key]) in values:
                findings.append(_take(parent, key, path, f'{dotted(path)}: "{parent[key]}" is not built yet'))
    return findings + _routes(data)


def _routes(data: object) -> list[Finding]:
    findings = []
    for parent, key, path in list(_matches(data, ("gateway", "routes", "*", "path"))):
        if "{" in str(parent[key]):
            message = f'{dotted(path)}: "{parent.pop(key)}" is not built yet ({PARAMETERS})'
            findings.append(Finding(path, message, "write an exact path or a prefix: /v1/orders/*"))
    for parent, key, path in list(_matches(data, ("gateway", "routes", "*", "to"))):
        if isinstance(parent[key], (list, dict)):
            del parent[key]
            findings.append(Finding(path, f"{dotted(path)} is not built yet ({TARGETS})", "name one service"))
    return findings


def known_keys(path: Path) -> set[str]:
    """The planned keys of the part at this path."""
    return {
        pattern[-1]
        for pattern in KEYS
        if len(pattern) == len(path) + 1
        and all(step in ("*", str(at)) for step, at in zip(pattern, path, strict=False))
    }


def _take(parent: dict[str, object], key: str, path: Path, message: str) -> Finding:
    del parent[key]
    return Finding(path, message, f"remove `{key}`; what is built is in docs/reference/file.md", key=True)


def _matches(data: object, pattern: tuple[str, ...], path: Path = ()) -> Iterator[tuple[dict[str, object], str, Path]]:
    """Every place that the pattern fits: the mapping, its key, the path of the value."""
    step, rest = pattern[0], pattern[1:]
    if isinstance(data, dict):
        for key in [step] if step != "*" else list(data):
            if key not in data:
                continue
            if rest:
                yield from _matches(data[key], rest, (*path, key))
            else:
                yield data, key, (*path, key)
    elif isinstance(data, list) and step == "*":
        for index, item in enumerate(data):
            yield from _matches(item, rest, (*path, index))
