"""A setting that has no effect is an error: what means nothing for a service's protocol is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from cloudlet.stack import command
from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule

_HTTP = frozenset({"http", "http2"})
_BALANCED = _HTTP | {"tcp"}
_LISTENING = _BALANCED | {"udp"}
_EVERY = _LISTENING | {"none"}

#: key of a service → the protocols for which it does something
_EFFECTIVE: Mapping[tuple[str, ...], frozenset[str]] = {
    ("concurrency",): _BALANCED,
    ("wait",): _BALANCED,
    ("wait", "at_most"): _HTTP,
    ("health",): _LISTENING,
    ("health", "path"): _HTTP,
    ("health", "interval"): _BALANCED,
    ("health", "timeout"): _BALANCED,
    ("health", "rise"): _BALANCED,
    ("health", "fall"): _BALANCED,
    ("health", "expect"): _HTTP,
    ("balance",): _BALANCED,
    ("sticky",): _HTTP,
    ("slow_start",): _BALANCED,
    ("eject",): _BALANCED,
    ("backup",): _BALANCED,
    ("timeout",): _BALANCED,
    ("retries",): _HTTP,
    ("breaker",): _HTTP,
    ("stop", "drain"): _BALANCED,
}
_REASONS = {
    "tcp": "a TCP connection is passed on unread",
    "udp": "datagrams are passed on one by one, by a hash of the client's address",
    "none": "it listens to nothing",
}


def without_effect(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        for keys, protocols in _EFFECTIVE.items():
            path: Path = ("services", name, *keys)
            whole = _EFFECTIVE.get(keys[:1], _EVERY)
            if service.protocol in protocols or not _is_set(service, keys):
                continue
            if len(keys) > 1 and service.protocol not in whole:
                continue  # said for the whole part
            reason = _REASONS[service.protocol]
            message = f"{dotted(path)} has no effect with protocol: {service.protocol}: {reason}"
            yield Finding(path, message, f"remove `{keys[-1]}`", key=True)


def errors_seen(design: Design) -> Iterator[Finding]:
    """Statuses are seen in HTTP only."""
    for name, service in design.stack.services.items():
        if service.protocol == "tcp" and "5xx" in service.eject.on:
            path: Path = ("services", name, "eject", "on")
            message = f"{dotted(path)}: 5xx is never seen with protocol: tcp, which is passed on unread"
            yield Finding(path, message, "write [connection]")


def statuses_need_a_path(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        health = service.health
        if service.protocol in _HTTP and "expect" in health.model_fields_set and health.path is None:
            path: Path = ("services", name, "health", "expect")
            yield Finding(path, f"{dotted(path)} has no effect without a path to request", "add `path`", key=True)


def ejections(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        others = service.eject.model_fields_set - {"at_most"}
        if service.protocol in _BALANCED and service.eject.at_most == 0 and others:
            path: Path = ("services", name, "eject", "at_most")
            yield Finding(path, f"{dotted(path)}: with 0% the rest of eject has no effect", "remove the rest")


def ports(design: Design) -> Iterator[Finding]:
    """A service that listens to nothing has no port to be told."""
    for name, service in design.stack.services.items():
        if service.protocol == "none" and command.uses(service.command, "port"):
            path: Path = ("services", name, "command")
            message = f"{dotted(path)}: {{port}} has no meaning with protocol: none, which listens to nothing"
            yield Finding(path, message, "remove {port}, or set the protocol")


def _is_set(part: BaseModel, keys: tuple[str, ...]) -> bool:
    for key in keys:
        if key not in part.model_fields_set:
            return False
        inner = getattr(part, key)
        if isinstance(inner, BaseModel):
            part = inner
    return True


RULES: tuple[Rule, ...] = (without_effect, errors_seen, statuses_need_a_path, ejections, ports)
