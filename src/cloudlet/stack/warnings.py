"""What may be meant but is worth a word: the file is accepted, and `cloudlet check` says these."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from cloudlet.errors import Problem
from cloudlet.stack.balance import WEIGHTED
from cloudlet.stack.findings import Finding, dotted, place
from cloudlet.stack.interpolate import secret_names
from cloudlet.stack.nodes import Path, Scalar, find
from cloudlet.stack.stack import Stack

Warn: TypeAlias = Callable[[Stack], Iterator[Finding]]

_HTTP = frozenset({"http", "http2"})
_SECRET_NAME = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY)$", re.IGNORECASE)


def check(stack: Stack) -> list[Problem]:
    """Everything about the design that deserves a warning, in the file's order."""
    findings = [finding for warn in _WARNINGS for finding in warn(stack)]
    return place(findings, stack.tree, stack.shown)


def _health(stack: Stack) -> Iterator[Finding]:
    for name, service in stack.services.items():
        if service.protocol in _HTTP and service.health.path is None:
            path: Path = ("services", name)
            message = f"{dotted(path)} has no health path: an instance counts as healthy once its port is open"
            yield Finding(path, message, "add `health: {path: /health}`", key=True)


def _instances(stack: Stack) -> Iterator[Finding]:
    for name, service in stack.services.items():
        low, high = service.instances.min, service.instances.max
        path: Path = ("services", name, "instances")
        if low < high:
            message = f"{dotted(path)}: starts {low} and stays there, scaling up to {high} is not built yet"
            yield Finding(path, message, f"`cloudlet scale {name}={high}` changes it at run time")
        elif low == 1 and service.protocol != "none":
            message = f"{dotted(path)}: a single instance, so nothing answers while it is started again"
            yield Finding(path, message, "set `instances: 2`")
        if low == 0:
            yield Finding(path, f"{dotted(path)}: no instance is started", f"`cloudlet scale {name}=1` starts one")


def _unreached(stack: Stack) -> Iterator[Finding]:
    """Services that nothing leads to."""
    reached = {listener.to for listener in stack.edge.listeners.values()}
    reached |= {name for route in (stack.gateway.routes if stack.gateway else ()) for name in route.services}
    for service in stack.services.values():
        reached |= {*service.uses, service.backup or ""}
    for name, service in stack.services.items():
        if service.protocol != "none" and name not in reached:
            path: Path = ("services", name)
            message = f"{dotted(path)} is reached by no route, listener or other service"
            yield Finding(path, message, "add a route, or set `protocol: none` for a worker", key=True)


def _unused(stack: Stack) -> Iterator[Finding]:
    """Databases and caches that no service uses."""
    used = {name for service in stack.services.values() for name in service.uses}
    for section, names in (("databases", stack.databases), ("caches", stack.caches)):
        for name in names:
            if name not in used:
                path: Path = (section, name)
                yield Finding(path, f"{dotted(path)} is used by no service", f"add `uses: [{name}]`", key=True)


def _routes(stack: Stack) -> Iterator[Finding]:
    if stack.gateway is not None and not stack.gateway.routes:
        path: Path = ("gateway",)
        yield Finding(path, "gateway has no routes, so every request gets 404", "add `routes`", key=True)


def _public(stack: Stack) -> Iterator[Finding]:
    """Addresses that other machines can reach."""
    addresses: list[tuple[Path, str]] = []
    if stack.gateway is not None:
        addresses.append((("gateway", "listen", "address"), stack.gateway.listen.address))
    for name, listener in stack.edge.listeners.items():
        addresses.append((("edge", "listeners", name, "address"), listener.address))
    for path, address in addresses:
        if not ipaddress.ip_address(address).is_loopback:
            message = f"{dotted(path)}: {address} can be reached from other machines, without authentication"
            yield Finding(path, message, "keep 127.0.0.1 unless that is meant")


def _weights(stack: Stack) -> Iterator[Finding]:
    for name, service in stack.services.items():
        if service.balance.algorithm in WEIGHTED and not service.balance.weights:
            path: Path = ("services", name, "balance")
            message = f"{dotted(path)}: {service.balance.algorithm} without weights treats all alike"
            yield Finding(path, message, "add `weights: [3, 1]`, for instance 1, 2 and further")


def _plain_secrets(stack: Stack) -> Iterator[Finding]:
    """Values that look like secrets and stand in the file itself."""
    for name, service in stack.services.items():
        for variable, value in service.environment.items():
            path: Path = ("services", name, "environment", variable)
            node = find(stack.tree, path)
            written = isinstance(node, Scalar) and node.written == value
            if value and written and _SECRET_NAME.search(variable) and not secret_names(value):
                message = f"{dotted(path)} seems to be a secret, and the file shows it"
                yield Finding(path, message, f"write ${{secret:{variable.lower()}}} or ${{env:{variable}}}", key=True)


_WARNINGS: tuple[Warn, ...] = (
    _health,
    _instances,
    _unreached,
    _unused,
    _routes,
    _public,
    _weights,
    _plain_secrets,
)
