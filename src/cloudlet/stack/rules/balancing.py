"""Options of a balance algorithm: each belongs to some of them, and is refused with the others."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.balance import HASHES, WEIGHTED
from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule

#: HAProxy's hash-balance-factor
_LEAST_BOUND, _GREATEST_BOUND = 1.01, 10.0


def keys(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        path: Path = ("services", name, "balance", "key")
        algorithm = service.balance.algorithm
        if algorithm == "consistent-hash" and service.balance.key is None:
            message = f"{dotted(path[:-1])}: consistent-hash needs a key to hash"
            yield Finding(path[:-1], message, "add `key`: header:NAME, cookie:NAME, query:NAME or path")
        elif algorithm != "consistent-hash" and service.balance.key is not None:
            yield _without_effect(path, algorithm, "consistent-hash")
        elif service.balance.key is not None and service.protocol == "tcp":
            message = f"{dotted(path)}: nothing of a request is seen with protocol: tcp"
            yield Finding(path, message, "balance by ip-hash")


def bounds(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        path: Path = ("services", name, "balance", "bounded")
        bounded = service.balance.bounded
        if bounded is None:
            continue
        if service.balance.algorithm not in HASHES:
            yield _without_effect(path, service.balance.algorithm, "consistent-hash or ip-hash")
        elif not _LEAST_BOUND <= bounded <= _GREATEST_BOUND:
            message = f"{dotted(path)}: {bounded:.0%} of the mean load is no bound between 101% and 1000%"
            yield Finding(path, message, "write 125%")


def weights(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        path: Path = ("services", name, "balance", "weights")
        if service.balance.weights and service.balance.algorithm not in WEIGHTED:
            yield _without_effect(path, service.balance.algorithm, " or ".join(sorted(WEIGHTED)))


def response_times(design: Design) -> Iterator[Finding]:
    """HAProxy measures the time to an answer where it knows what an answer is."""
    for name, service in design.stack.services.items():
        if service.protocol == "tcp" and service.balance.algorithm == "least-response-time":
            path: Path = ("services", name, "balance")
            message = f"{dotted(path)}: response times are not measured with protocol: tcp"
            yield Finding(path, message, "balance by least-connections")


def _without_effect(path: Path, algorithm: str, fitting: str) -> Finding:
    key = str(path[-1])
    message = f"{dotted(path)} has no effect with {algorithm}"
    return Finding(path, message, f"remove `{key}`, or balance by {fitting}", key=True)


RULES: tuple[Rule, ...] = (keys, bounds, weights, response_times)
