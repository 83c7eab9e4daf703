"""What one part says about another: it must exist, and be of a kind that can do what is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cloudlet.stack.findings import Finding, dotted, suggestion
from cloudlet.stack.gateway import Route
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import KINDS, Design, Rule
from cloudlet.stack.service import Service

_HTTP = frozenset({"http", "http2"})
_BALANCED = _HTTP | {"tcp"}
#: services with these are reached through no internal listener
_UNREACHABLE: Mapping[str, str] = {
    "udp": "speaks UDP, which the edge's internal listeners do not",
    "none": "listens to nothing (protocol: none)",
}


def used_names(design: Design) -> Iterator[Finding]:
    """`uses` names services, databases and caches; a service may use one that uses it, but not itself."""
    known = [name for section in KINDS for name in design.declared(section)]
    for name, service in design.stack.services.items():
        for index, used in enumerate(service.uses):
            path: Path = ("services", name, "uses", index)
            other = design.stack.services.get(used)
            if used == name:
                yield Finding(path, f"{dotted(path)}: {name} uses itself", "remove it")
            elif used not in known:
                yield _no_such(path, used, "service, database or cache", known)
            elif used in service.uses[:index]:
                yield Finding(path, f'{dotted(path)}: "{used}" is here twice', "remove one of them")
            elif other is not None and other.protocol in _UNREACHABLE:
                message = f'{dotted(path)}: the service "{used}" {_UNREACHABLE[other.protocol]}'
                yield Finding(path, message, f"remove it, or change services.{used}.protocol")


def backups(design: Design) -> Iterator[Finding]:
    """`backup` names a service that speaks alike."""
    services = design.stack.services
    for name, service in services.items():
        path: Path = ("services", name, "backup")
        if service.backup is None:
            continue
        other = services.get(service.backup)
        if service.backup not in design.declared("services"):
            yield _no_such(path, service.backup, "service", design.declared("services"))
        elif other is not None and service.protocol in _BALANCED and not _alike(service, other):
            message = (
                f'{dotted(path)}: "{service.backup}" has protocol: {other.protocol} and cannot answer for '
                f"protocol: {service.protocol}"
            )
            yield Finding(path, message, "name a service of the same protocol")


def backup_cycles(design: Design) -> Iterator[Finding]:
    """Following `backup` must end somewhere; each cycle is told once, at its first service in the file."""
    following = {name: service.backup for name, service in design.stack.services.items() if service.backup}
    told: set[str] = set()
    for name in following:
        cycle = _cycle(name, following)
        if cycle and not told.intersection(cycle):
            told.update(cycle)
            path: Path = ("services", name, "backup")
            way = " → ".join([*cycle, name])
            yield Finding(path, f"{dotted(path)}: backups go in a circle: {way}", "let one of them have no backup")


def backups_of_backups(design: Design) -> Iterator[Finding]:
    """The edge asks one backup, and nobody after it; circles are told above."""
    following = {name: service.backup for name, service in design.stack.services.items() if service.backup}
    told: set[str] = set()
    for name, first in following.items():
        second = following.get(first)
        if second is None or first in told or _returns(first, following):
            continue
        told.add(first)
        path: Path = ("services", first, "backup")
        message = f"{dotted(path)}: {first} is itself the backup of {name}, and a backup has none"
        yield Finding(path, message, f"remove it, or let {name} have the backup {second}", key=True)


def listeners(design: Design) -> Iterator[Finding]:
    """A listener passes bytes or datagrams on, so its service speaks just that."""
    for name, listener in design.stack.edge.listeners.items():
        path: Path = ("edge", "listeners", name, "to")
        kind = "udp" if listener.udp is not None else "tcp"
        service = design.stack.services.get(listener.to)
        if listener.to not in design.declared("services"):
            yield _no_such(path, listener.to, "service", design.declared("services"))
        elif service is not None and service.protocol != kind and None in (listener.tcp, listener.udp):
            speaks = f'"{listener.to}", which has protocol: {service.protocol}'
            message = f"{dotted(path)}: a {kind} listener cannot serve {speaks}"
            fix = (
                "give it a route of the gateway instead"
                if service.protocol in _HTTP
                else f"set services.{listener.to}.protocol to {kind}"
            )
            yield Finding(path, message, fix)


def route_targets(design: Design) -> Iterator[Finding]:
    """A route goes to services that speak HTTP."""
    for index, route in design.routes:
        for place, name in _named(route):
            path: Path = ("gateway", "routes", index, *place)
            service = design.stack.services.get(name)
            if name not in design.declared("services"):
                yield _no_such(path, name, "service", design.declared("services"))
            elif service is not None and service.protocol not in _HTTP:
                speaks = f'"{name}" has protocol: {service.protocol}'
                message = f"{dotted(path)}: {speaks}, and a route needs http or http2"
                fix = f"give it a listener below edge.listeners, or set services.{name}.protocol"
                yield Finding(path, message, fix)


def _named(route: Route) -> Iterator[tuple[Path, str]]:
    """Every service of a route, and where it is named."""
    for number, target in enumerate(route.to):
        yield ("to",) if len(route.to) == 1 else ("to", number, "service"), target.service
    for name, call in route.aggregate.calls.items() if route.aggregate else ():
        yield ("aggregate", "calls", name, "to"), call.to
    if route.fallback is not None and route.fallback.service is not None:
        yield ("fallback", "service"), route.fallback.service


def _alike(one: Service, other: Service) -> bool:
    return one.protocol == other.protocol or {one.protocol, other.protocol} <= _HTTP


def _cycle(start: str, following: Mapping[str, str]) -> list[str]:
    """The names from `start` back to it, empty when the way does not return."""
    way = [start]
    while (after := following.get(way[-1])) is not None:
        if after == start:
            return way
        if after in way:
            return []
        way.append(after)
    return []


def _returns(name: str, following: Mapping[str, str]) -> bool:
    """Whether the way of backups from `name` runs into a circle."""
    way = [name]
    while (after := following.get(way[-1])) is not None:
        if after in way:
            return True
        way.append(after)
    return False


def _no_such(path: Path, name: str, kind: str, known: Iterable[str]) -> Finding:
    return Finding(path, f'{dotted(path)}: there is no {kind} "{name}"', suggestion(name, known, "there are"))


RULES: tuple[Rule, ...] = (used_names, backups, backup_cycles, backups_of_backups, listeners, route_targets)
