"""What applying a file would change about routes, about all of them together, and about who may use them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from cloudlet.control.views import Change
from cloudlet.stack import Gateway, Route, Stack

BY_SOCKET = "over the runtime socket, no reload"
BY_RELOAD = "by a seamless reload, no connection is dropped"
#: what a route may say and still be no more than entries of a map
_PLAIN = frozenset({"host", "path", "to"})
#: of the gateway, told as routes and as listeners
_ELSEWHERE = frozenset({"routes", "listen"})


def gateway_changes(old: Stack | None, new: Stack) -> Iterator[Change]:
    before = {_name(route): route for route in _routes(old)}
    after = {_name(route): route for route in _routes(new)}
    for name, route in after.items():
        if name not in before:
            yield Change("add", "route", name, f"to {_answerer(route)}", _how(route))
        elif before[name] != route:
            yield Change("change", "route", name, _changed(before[name], route), _how(before[name], route))
    for name, route in before.items():
        if name not in after:
            yield Change("remove", "route", name, f"to {_answerer(route)}", _how(route))
    if old is not None:
        yield from _options(old, new)


def _options(old: Stack, new: Stack) -> Iterator[Change]:
    """What is said of all routes together."""
    keys = [key for key in _differing(old.gateway or Gateway(), new.gateway or Gateway()) if key not in _ELSEWHERE]
    if keys:
        yield Change("change", "gateway", "gateway", ", ".join(keys), BY_RELOAD)
    keys = _differing(old.identity, new.identity)
    if keys:
        yield Change("change", "identity", "identity", ", ".join(keys), BY_RELOAD)
    if old.egress != new.egress:
        keys = _differing(old.egress, new.egress) if old.egress and new.egress else ["all of it"]
        yield Change("change", "egress", "egress", ", ".join(keys), "the proxy's instances are replaced")


def _routes(stack: Stack | None) -> tuple[Route, ...]:
    return stack.gateway.routes if stack is not None and stack.gateway is not None else ()


def _changed(old: Route, new: Route) -> str:
    keys = _differing(old, new)
    if keys == ["to"]:
        return f"from {_answerer(old)} to {_answerer(new)}"
    return ", ".join(keys)


def _differing(old: BaseModel, new: BaseModel) -> list[str]:
    return [key for key in type(new).model_fields if getattr(old, key) != getattr(new, key)]


def _how(*routes: Route) -> str:
    return BY_SOCKET if all(route.model_fields_set <= _PLAIN and len(route.to) == 1 for route in routes) else BY_RELOAD


def _name(route: Route) -> str:
    methods = f"{','.join(route.methods)} " if route.methods else ""
    wanted = [f"{name}: {value}" for name, value in route.match.headers.items()]
    wanted += [f"{name}={value}" for name, value in route.match.query.items()]
    return f"{methods}{route.host or '*'}{route.path}" + (f" ({', '.join(wanted)})" if wanted else "")


def _answerer(route: Route) -> str:
    return ", ".join(route.services) or "the edge itself"
