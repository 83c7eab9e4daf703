"""What applying a file would change, and what that does to traffic: pure, for `up` to print before it acts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloudlet.control.planning_gateway import BY_RELOAD, BY_SOCKET, gateway_changes
from cloudlet.control.revisions import launch_revision
from cloudlet.control.topology import public_sockets
from cloudlet.control.views import Change
from cloudlet.stack import Service, Stack


def changes(old: Stack | None, new: Stack, scaled: Mapping[str, int]) -> list[Change]:
    """The differences in the order in which they are carried out; empty when there are none."""
    return [
        *_named("database", old.databases if old else {}, new.databases, "its data folder is made"),
        *_named("cache", old.caches if old else {}, new.caches, "its data folder is made"),
        *_services(old, new, scaled),
        *gateway_changes(old, new),
        *_addresses(old, new),
    ]


def undoes(new: Stack, scaled: Mapping[str, int]) -> dict[str, str]:
    """Run-time changes that the file takes back: by service, in words."""
    return {
        name: f"{name} was scaled to {count} by a command; the file says {new.services[name].instances.min}"
        for name, count in scaled.items()
        if name in new.services and count != new.services[name].instances.min
    }


def _named(kind: str, old: Mapping[str, object], new: Mapping[str, object], added: str) -> Iterator[Change]:
    for name, wanted in new.items():
        if name not in old:
            yield Change("add", kind, name, _engine(wanted), added)
        elif old[name] != wanted:
            yield Change("change", kind, name, _engine(wanted), "the engine is restarted; clients reconnect")
    for name in old:
        if name not in new:
            yield Change("remove", kind, name, "", "the engine is stopped; its data folder stays")


def _engine(resource: object) -> str:
    return str(getattr(resource, "engine", ""))


def _services(old: Stack | None, new: Stack, scaled: Mapping[str, int]) -> Iterator[Change]:
    before = old.services if old else {}
    for name, service in new.services.items():
        if name not in before:
            count = service.instances.min
            yield Change("add", "service", name, f"{count} × {' '.join(service.command)}", "instances start")
        else:
            yield from _changed(name, before[name], service, scaled)
    for name in before:
        if name not in new.services:
            yield Change("remove", "service", name, "", "its instances drain, then stop")


def _changed(name: str, old: Service, new: Service, scaled: Mapping[str, int]) -> Iterator[Change]:
    now = scaled.get(name, old.instances.min)
    if new.instances.min != now:
        how = f"instances start or drain, {BY_SOCKET}"
        yield Change("scale", "service", name, f"{now} → {new.instances.min} instances", how)
    keys = ", ".join(_differing(old, new))
    if launch_revision(old) != launch_revision(new):
        surge, unavailable = new.deployment.max_surge, new.deployment.max_unavailable
        how = f"rolling replacement (max surge {surge}, max unavailable {unavailable})"
        yield Change("change", "service", name, keys, how)
    elif keys:
        yield Change("change", "service", name, keys, BY_RELOAD)


def _differing(old: Service, new: Service) -> list[str]:
    keys = type(new).model_fields
    return [key for key in keys if key != "instances" and getattr(old, key) != getattr(new, key)]


def _addresses(old: Stack | None, new: Stack) -> Iterator[Change]:
    before = dict(_listening(old)) if old else {}
    after = dict(_listening(new))
    for name, address in after.items():
        if name not in before:
            yield Change("add", "listener", name, address, BY_RELOAD if old else "it is held from now on")
        elif before[name] != address:
            yield Change("change", "listener", name, f"{before[name]} → {address}", BY_RELOAD)
    for name, address in before.items():
        if name not in after:
            yield Change("remove", "listener", name, address, "what is connected is finished")
    if old is None:
        return
    if _edge_options(old) != _edge_options(new):
        yield Change("change", "listener", "edge", "threads, log or certificates", BY_RELOAD)
    if (old.name, old.domain) != (new.name, new.domain):
        yield Change("change", "stack", new.name, f"domain {new.domain}", BY_RELOAD)


def _listening(stack: Stack) -> Iterator[tuple[str, str]]:
    """Each address that users reach, by its listener's name or what it is for."""
    for request in public_sockets(stack):
        kind = "udp" if request.datagram else "https" if request.tls else request.mode
        to = f" to {request.backend}" if request.backend else ""
        yield request.listener or request.purpose, f"{kind}://{request.host}:{request.port or '(any)'}{to}"


def _edge_options(stack: Stack) -> dict[str, object]:
    return stack.edge.model_dump(exclude={"listeners"})
