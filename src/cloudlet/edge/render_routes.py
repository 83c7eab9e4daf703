"""Routes and per-backend facts as maps, which HAProxy looks up without trying one after the other.

routes-backends.map      label → backend       of routes that always go to the same one
routes-hosts.map         HOST → 1              hosts that have routes of their own
routes-exact.map …       key → label or ladder what may take a request; one map for each class (route_classes.py)
routes-ladders.map, …    see ladders.py
waits.map                backend → milliseconds a request is held while no server is there
waits-limit.map          backend → how many are held at once
fallbacks.map            backend → who answers when no server is up
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.ladders import Ladder, Turn, all_turns, allow_entries, ladder_entries
from cloudlet.edge.route_classes import RouteClass, classes
from cloudlet.policy.conditions import Condition, conditions
from cloudlet.policy.routing import Candidate, Table
from cloudlet.stack.gateway.paths import pattern

BACKENDS, HOSTS = "routes-backends.map", "routes-hosts.map"
LADDERS, ALLOW = "routes-ladders.map", "routes-allow.map"
WAITS, LIMITS, FALLBACKS = "waits.map", "waits-limit.map", "fallbacks.map"


@dataclass(frozen=True)
class CompiledRoutes:
    """`turns` are those of all ladders, `conditions` the sets under which a method may be the wrong one."""

    classes: tuple[RouteClass, ...]
    turns: tuple[Turn, ...]
    conditions: tuple[tuple[Condition, ...], ...]
    hosts: tuple[str, ...]

    @cached_property
    def ladders(self) -> dict[str, Ladder]:
        return {name: item for each in self.classes for name, item in each.ladders.items()}

    @cached_property
    def files(self) -> dict[str, str]:
        """What changes by succession only."""
        ladders = self.ladders.values()
        if not ladders:
            return {}
        steps = [ladder_entries(item, self.turns) for item in ladders]
        allowed = [allow_entries(item, self.conditions) for item in ladders]
        return {LADDERS: map_text(_merged(steps)), ALLOW: map_text(_merged(allowed))}

    @cached_property
    def maps(self) -> dict[str, dict[str, str]]:
        """What leads to labels, the specific before the general: the order in which maps are exchanged."""
        found = {each.file: {key: item.value for key, item in each.entries.items()} for each in self.classes}
        if not self.hosts:
            return found
        own = {each.file: found[each.file] for each in self.classes if each.host}
        return {**own, HOSTS: dict.fromkeys(self.hosts, "1"), **found}


def table(configuration: EdgeConfiguration) -> Table:
    """The routes as the policy has them; those that no request can ask for are left out."""
    common = configuration.gateway.cors is not None
    return Table(found for route in configuration.routes if (found := _candidate(route, cors=common)))


def _candidate(route: Route, *, cors: bool) -> Candidate | None:
    path, design = pattern(route.path), route.design
    if path is None:
        return None
    return Candidate(
        route.label,
        path,
        (route.host or "").lower().rstrip("."),
        frozenset(design.methods) if design else frozenset(),
        conditions(design.match.headers, design.match.query) if design else (),
        cors or (design is not None and design.cors is not None),
    )


def compiled(configuration: EdgeConfiguration) -> CompiledRoutes:
    return _compiled(_Same(configuration))


class _Same:
    """The same routes in memory: a configuration with other servers keeps them, and is rendered often."""

    def __init__(self, configuration: EdgeConfiguration) -> None:
        self.configuration = configuration

    def __hash__(self) -> int:
        return hash((id(self.configuration.routes), self.configuration.gateway.cors is None))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Same)
            and self.configuration.routes is other.configuration.routes
            and (self.configuration.gateway.cors is None) == (other.configuration.gateway.cors is None)
        )


@lru_cache(maxsize=4)
def _compiled(same: _Same) -> CompiledRoutes:
    found = classes(table(same.configuration))
    ladders = [item for each in found for item in each.ladders.values()]
    wanted = dict.fromkeys(asked for item in ladders for asked in item.allow)
    hosts = dict.fromkeys((route.host or "").lower().rstrip(".") for route in same.configuration.routes)
    return CompiledRoutes(found, all_turns(ladders), tuple(wanted), tuple(host for host in hosts if host))


def backend_entries(routes: Iterable[Route]) -> dict[str, str]:
    """The first of several with one label, as in the table."""
    entries: dict[str, str] = {}
    for route in routes:
        if route.backend and not route.targets:
            entries.setdefault(route.label, route.backend)
    return entries


def map_files(configuration: EdgeConfiguration) -> dict[str, str]:
    http = [backend for backend in configuration.backends if backend.mode == "http"]
    return {
        WAITS: map_text({b.name: str(round(b.wait * 1000)) for b in http}),
        LIMITS: map_text({b.name: str(b.wait_at_most) for b in http}),
        FALLBACKS: map_text({b.name: b.fallback for b in http if b.fallback}),
    }


def map_text(entries: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in entries.items())


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for part in parts for key, value in part.items()}
