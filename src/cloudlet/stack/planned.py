"""What FILE promises and nothing does yet: known keys that are refused, never ignored.

The one table of them; whoever builds a key deletes its line. `*` stands for any name or list position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path

#: key → what it will do
KEYS: Mapping[tuple[str, ...], str] = {
    ("queues",): "work handed on and never lost",
    ("topics",): "one message to many queues",
    ("streams",): "the event log with replay",
    ("messaging",): "the SQS and SNS interfaces",
    ("functions",): "code that runs on events",
    ("objects",): "the object store",
    ("channels",): "WebSocket, server-sent events and MQTT",
    ("cdn",): "the edge cache",
    ("dns",): "names and resolvers",
    ("observe", "history"): "numbers kept and rolled up",
    ("observe", "alerts"): "alerts",
    ("observe", "traces"): "spans of requests",
    ("regions",): "places",
    ("faults",): "planned faults",
    ("plan",): "users and prices for the plan",
    ("services", "*", "consumes"): "workers fed from a queue",
    ("services", "*", "scaling"): "capacity that follows the load",
    ("services", "*", "instances", "warm"): "instances kept ready",
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
