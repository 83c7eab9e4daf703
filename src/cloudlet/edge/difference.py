"""What it takes to get from one configuration to another: nothing, the runtime socket, or a new process. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from cloudlet.contracts.edge import Backend, EdgeConfiguration, Server
from cloudlet.edge.render import frame, live_maps


class How(StrEnum):
    """What applying a configuration does. Neither of them fails a request."""

    NOTHING = "nothing"
    SOCKET = "over-the-socket"
    SUCCESSION = "succession"


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, and why that was needed."""

    how: How
    because: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A server and its backend's name."""

    backend: str
    server: Server


@dataclass(frozen=True, slots=True)
class Difference:
    """The steps between two configurations; `beyond` names what the runtime socket can't do."""

    added: tuple[Placed, ...] = ()
    removed: tuple[Placed, ...] = ()
    reweighted: tuple[Placed, ...] = ()
    #: the maps to exchange, by name
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: the files with certificates to exchange
    certificates: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()

    def applied(self) -> Applied:
        if self.beyond:
            return Applied(How.SUCCESSION, f"{'; '.join(self.beyond)}")
        said = [
            f"{verb} {', '.join(f'{placed.backend}/{placed.server.name}' for placed in group)}"
            for verb, group in (
                ("adds", self.added),
                ("removes", self.removed),
                ("weighs anew", self.reweighted),
            )
            if group
        ]
        said += [f"changes {', '.join(name.removesuffix('.map') for name in self.maps)}"] if self.maps else []
        said += [f"exchanges {', '.join(Path(path).name for path in self.certificates)}"] if self.certificates else []
        return Applied(How.SOCKET, "; ".join(said)) if said else Applied(How.NOTHING, "nothing changed")


def difference(old: EdgeConfiguration, new: EdgeConfiguration) -> Difference:
    before, after = _by_name(old.backends), _by_name(new.backends)
    ruled = _without_servers(old) != _without_servers(new)  # what else is rendered takes a while with many routes
    beyond = tuple(_beyond(old, new)) or (tuple(_rules(old, new)) if ruled else ())
    kept = before.keys() & after.keys()
    servers = [_servers(before[name], after[name]) for name in after if name in kept]
    return Difference(
        added=tuple(placed for part in servers for placed in part.added),
        removed=tuple(placed for part in servers for placed in part.removed),
        reweighted=tuple(placed for part in servers for placed in part.reweighted),
        maps=_maps(old, new) if ruled else {},
        beyond=beyond,
    )


def _servers(old: Backend, new: Backend) -> Difference:
    """A server that moved to another address, or got another ordinal, goes and comes again."""
    before = {server.name: server for server in old.servers}
    after = {server.name: server for server in new.servers}
    same = {name for name in before.keys() & after.keys() if place(before[name]) == place(after[name])}
    return Difference(
        added=tuple(Placed(new.name, server) for name, server in after.items() if name not in same),
        removed=tuple(Placed(new.name, server) for name, server in before.items() if name not in same),
        reweighted=tuple(
            Placed(new.name, server)
            for name, server in after.items()
            if name in same and server.weight != before[name].weight
        ),
    )


def place(server: Server) -> tuple[str, int, int]:
    """What can't change while the server stays."""
    return server.address, server.port, server.ordinal


def _beyond(old: EdgeConfiguration, new: EdgeConfiguration) -> Iterable[str]:
    if old.listeners != new.listeners:
        yield "the listeners changed"
    for name in ("threads", "log_sample"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name} changed from {before:g} to {after:g}"
    before, after = _by_name(old.backends), _by_name(new.backends)
    yield from (f"the backend {name} is new" for name in after if name not in before)
    yield from (f"the backend {name} is gone" for name in before if name not in after)
    for name in after:
        if name in before and replace(before[name], servers=()) != replace(after[name], servers=()):
            yield f"the settings of the backend {name} changed"


def _without_servers(configuration: EdgeConfiguration) -> EdgeConfiguration:
    return replace(configuration, backends=tuple(replace(item, servers=()) for item in configuration.backends))


def _rules(old: EdgeConfiguration, new: EdgeConfiguration) -> Iterable[str]:
    before, after = frame(old), frame(new)
    if before != after:
        names = sorted({name for name in before.keys() | after.keys() if before.get(name) != after.get(name)})
        yield f"the rules of the gateway changed ({', '.join(names)})"


def _maps(old: EdgeConfiguration, new: EdgeConfiguration) -> dict[str, Mapping[str, str]]:
    before = live_maps(old)
    return {name: entries for name, entries in live_maps(new).items() if before.get(name) != entries}


def exchanges(old: EdgeConfiguration, maps: Mapping[str, Mapping[str, str]]) -> list[tuple[str, Mapping[str, str]]]:
    """The exchanges of whole maps that lead from the old entries to those of `maps`, without a moment in which a
    request is taken by a route that neither takes it before nor after.

    First each map gets what is new beside what is there: what routes are looked up in before what leads to them, and of
    these the specific before the general. Then, the other way round, what is old goes.
    """
    before = live_maps(old)
    order = sorted(maps, key=lambda name: name.startswith("routes-"))
    both = {name: {**maps[name], **before.get(name, {})} for name in order}
    grown = [(name, both[name]) for name in order if both[name] != before.get(name)]
    return grown + [(name, maps[name]) for name in reversed(order) if both[name] != maps[name]]


def _by_name(backends: Iterable[Backend]) -> dict[str, Backend]:
    return {backend.name: backend for backend in backends}
