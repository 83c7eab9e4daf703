"""Which route takes the request, the specific before the general: sets `txn.route` (its label) and `txn.backend`.

Each class of paths (route_classes.py) is one look-up. It gives the route's label, or a ladder (ladders.py) whose turns
are tried in their order. Rules grow with the shapes of paths and the distinct conditions, never with the routes, and a
file that tells routes by host and path alone pays one look-up for each class and one for the backend.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.ladders import MARK, Turn
from cloudlet.edge.render_routes import ALLOW, BACKENDS, HOSTS, LADDERS, CompiledRoutes, backend_entries, compiled
from cloudlet.edge.rendered import quoted
from cloudlet.edge.route_classes import Lookup, RouteClass
from cloudlet.edge.steps.fragment import Fragment
from cloudlet.edge.steps.query_words import occurs, occurs_twice
from cloudlet.edge.steps.spreading import spread
from cloudlet.policy.conditions import Condition, Where
from cloudlet.policy.routing import METHODS
from cloudlet.stack.gateway.matching import ANY

_ROUTED = "{ var(txn.route) -m found }"
_ALLOWED = '%[var(txn.allowed),rtrim(+),regsub([+],", ",g)]'
_PREFLIGHT = "access-control-request-method"


def fragment(configuration: EdgeConfiguration) -> Fragment:
    routes = compiled(configuration)
    spreading = spread(configuration)
    return Fragment(
        rules=(
            "# route: the specific before the general",
            *(_host() if routes.hosts else ()),
            *(_method(configuration) if routes.turns else ()),
            *(["http-request set-var(txn.allow) int(0)"] if routes.conditions else ()),
            *(line for number, each in enumerate(routes.classes) for line in _class(routes, each, first=number == 0)),
            *(_not_allowed() if routes.conditions else ()),
            f"http-request return status 404 default-errorfiles unless {_ROUTED}",
            f"http-request set-var(txn.backend) var(txn.route),map_str({BACKENDS})",
            *spreading.rules,
        ),
        answers=spreading.answers,
        files=routes.files,
        maps={BACKENDS: backend_entries(configuration.routes), **routes.maps},
    )


def _host() -> list[str]:
    """Without `txn.place` the look-ups of hosts find nothing, and cost little."""
    return [
        "http-request set-var-fmt(txn.place) %[var(txn.host)]%[var(txn.path)]"
        f" if {{ var(txn.host),map_str({HOSTS}) -m found }}"
    ]


def _method(configuration: EdgeConfiguration) -> list[str]:
    """A preflight is about another method, where the edge answers any."""
    routes = (route.design for route in configuration.routes)
    cors = configuration.gateway.cors is not None or any(design.cors for design in routes if design)
    asked = (
        f"{{ method OPTIONS }} {{ req.hdr(origin) -m found }} {{ req.fhdr({_PREFLIGHT}) -m str {' '.join(METHODS)} }}"
    )
    preflight = f"http-request set-var-fmt(txn.method) OPTIONS:%[req.fhdr({_PREFLIGHT})] if {asked}"
    return ["http-request set-var(txn.method) method", *([preflight] if cors else ())]


def _class(routes: CompiledRoutes, each: RouteClass, *, first: bool) -> list[str]:
    unless = "" if first else f" unless {_ROUTED}"
    if not each.ladders:
        return [f"http-request set-var(txn.route) {_lookup(each)}{unless}"]
    used = {turn for item in each.ladders.values() for turn in item.turns}
    asked = {conditions for item in each.ladders.values() for conditions in item.allow}
    return [
        f"http-request set-var(txn.ladder) {_lookup(each)}{unless}",
        "http-request set-var(txn.route) var(txn.ladder)"
        f" if {{ var(txn.ladder) -m found }} !{{ var(txn.ladder) -m beg {MARK} }}{'' if first else f' !{_ROUTED}'}",
        *(_turn(place, turn) for place, turn in enumerate(routes.turns) if turn in used),
        *(_allow(place, wanted) for place, wanted in enumerate(routes.conditions) if wanted in asked),
    ]


def _turn(place: int, turn: Turn) -> str:
    method = f"concat({MARK}{place}{MARK},txn.method)" if turn.named else f"concat({MARK}{place}{MARK})"
    return (
        f"http-request set-var(txn.route) var(txn.ladder),{method},map_str({LADDERS})"
        f" if !{_ROUTED}{_conditions(turn.conditions)}"
    )


def _allow(place: int, wanted: tuple[Condition, ...]) -> str:
    """What a route would take under these conditions, joined to what others would."""
    return (
        f"http-request set-var(txn.allow) var(txn.ladder),concat({MARK}{place}),map_str_int({ALLOW}),or(txn.allow)"
        f" if !{_ROUTED}{_conditions(wanted)}"
    )


def _conditions(wanted: Iterable[Condition]) -> str:
    return "".join(f" {text}" for item in wanted for text in _condition(item))


def _condition(item: Condition) -> list[str]:
    if item.where is Where.HEADER and item.value == ANY:
        return [f"{{ req.fhdr({item.name}) -m found }}"]
    if item.where is Where.HEADER:
        return [
            f"{{ req.fhdr({item.name}) -m str -- {quoted(item.value)} }}",
            f"{{ req.fhdr_cnt({item.name}) eq 1 }}",
        ]
    if item.value == ANY:
        return [f"{{ query -m reg -- {quoted(occurs(item.name))} }}"]
    return [
        f"{{ query -m reg -- {quoted(occurs(item.name, item.value))} }}",
        f"!{{ query -m reg -- {quoted(occurs_twice(item.name))} }}",
    ]


def _lookup(each: RouteClass) -> str:
    place = "var(txn.place)" if each.host else "var(txn.path)"
    if each.lookup in (Lookup.EXACT, Lookup.PREFIX):
        return f"{place},map_{'str' if each.lookup is Lookup.EXACT else 'beg'}({each.file})"
    expression, shape = _shape(each)
    return quoted(f'{place},regsub("{expression}","{shape}"),map_str({each.file})')


def _shape(each: RouteClass) -> tuple[str, str]:
    """The path with its parameters as `{}`; one of another shape stays as it is, which is no key of this map."""
    runs = ["[^/]*" if each.host else ""]
    for parameter in each.mask:
        if parameter:
            runs[-1] += "/"
            runs.append("")
        else:
            runs[-1] += "/[^/]*"
    shown = "{}".join(f"\\{number}" for number in range(1, len(runs) + 1))
    rest, slash = ("(?:/(?s:.*))?", "/") if each.lookup is Lookup.REST else ("", "")
    return f"^{'[^/]+'.join(f'({run})' for run in runs)}{rest}$", f"{shown}{slash}"


def _not_allowed() -> list[str]:
    """405 with the methods that would have been taken (RFC 9110, 15.5.6)."""
    detail = "the route does not take this method; Allow names those that it takes"
    body = json.dumps({"type": "about:blank", "title": "Method Not Allowed", "status": 405, "detail": detail})
    named = "".join(f"%[var(txn.allow),and({1 << place}),bool,iif({name}+,)]" for place, name in enumerate(METHODS))
    denied = f"if !{_ROUTED} {{ var(txn.allow) -m int gt 0 }}"
    return [
        f"http-request set-var-fmt(txn.allowed) {quoted(named)} {denied}",
        f"http-request set-var(txn.refused) str(method) {denied}",
        "http-request return status 405 content-type application/problem+json"
        f" hdr allow {quoted(_ALLOWED)} hdr cache-control no-store"
        f" string {quoted(body)} {denied}",
    ]
