"""Shaping and protecting: what cannot be set, what could not be filled in, and options that would do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.gateway import Route
from cloudlet.stack.gateway.shaping import HeaderChanges, Headers
from cloudlet.stack.gateway.templates import WORDS, parameters, words
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule

#: what frames a message (RFC 9112, 6) or belongs to one connection (RFC 9110, 7.6.1)
_FRAMING = (
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
#: what the edge itself says of a request
_OURS = ("forwarded", "host", "x-real-ip", "x-request-id")
_OUR_PREFIXES = ("cloudlet-", "x-forwarded-")
_Place = tuple[Path, Headers, Route | None]


def forbidden_headers(design: Design) -> Iterator[Finding]:
    for path, headers, _ in _headers(design):
        for way, changes in (("request", headers.request), ("response", headers.response)):
            for kind, name in _names(changes):
                because = _forbidden(name.lower(), way)
                if because:
                    place: Path = (*path, way, kind)
                    yield Finding(place, f'{dotted(place)}: "{name}" {because}', "leave it out", key=True)


def _forbidden(name: str, way: str) -> str:
    if name in _FRAMING:
        return "says how a message is framed or a connection is used, which is the edge's own business"
    if name.startswith(_OUR_PREFIXES[0]):
        return "is a name of cloudlet's own, which services trust"
    if way == "request" and (name in _OURS or name.startswith(_OUR_PREFIXES)):
        return "tells a service who asked, and is the edge's to say"
    return "is the request's id, which the edge sets" if name == "x-request-id" else ""


def templates(design: Design) -> Iterator[Finding]:
    """A word that is filled in must be known, and mean one thing."""
    for path, headers, route in _headers(design):
        known = parameters(route.path) if route else ()
        for way, changes in (("request", headers.request), ("response", headers.response)):
            for kind, values in (("set", changes.set), ("add", changes.add)):
                for name, value in values.items():
                    yield from _words((*path, way, kind, name), value, known)


def _words(place: Path, value: str, known: tuple[str, ...]) -> Iterator[Finding]:
    for word in words(value):
        if word in WORDS and word in known:
            message = f"{dotted(place)}: {{{word}}} is a parameter of the path and a word of cloudlet's own"
            yield Finding(place, message, "give the parameter another name")
        elif word not in WORDS and word not in known:
            listed = ", ".join(f"{{{name}}}" for name in (*WORDS, *known))
            yield Finding(place, f"{dotted(place)}: {{{word}}} is nothing that can be filled in", f"there are {listed}")


def cors_by_hand(design: Design) -> Iterator[Finding]:
    """The edge replaces these headers where it answers for pages of other origins."""
    gateway = design.stack.gateway
    for path, headers, route in _headers(design):
        if gateway and (gateway.cors or (route and route.cors)):
            for kind, name in _names(headers.response):
                if name.lower().startswith("access-control-"):
                    place: Path = (*path, "response", kind)
                    message = f'{dotted(place)}: "{name}" has no effect, because `cors` says what pages may do'
                    yield Finding(place, message, "say it below `cors`", key=True)


def cached_for_one(design: Design) -> Iterator[Finding]:
    """What is kept is given to everybody."""
    for index, route in design.routes:
        if route.cache is None:
            continue
        path: Path = ("gateway", "routes", index, "cache")
        services = [design.stack.services.get(name) for name in route.services]
        if route.require is not None:
            message = "keeps answers for everybody that are only for who shows a credential (`require`)"
            yield Finding(path, f"{dotted(path)}: {message}", "leave `cache` or `require` out", key=True)
        elif route.sticky or any(service and service.sticky for service in services):
            message = "never keeps an answer, because `sticky` puts a cookie on each"
            yield Finding(path, f"{dotted(path)}: {message}", "leave `cache` or `sticky` out", key=True)
        elif route.views:
            message = "would give one kind of client the view of another"
            yield Finding(path, f"{dotted(path)}: {message}", "leave `cache` or `views` out", key=True)
        elif route.methods and "GET" not in route.methods:
            message = "only keeps answers to GET, which the route does not take"
            yield Finding(path, f"{dotted(path)}: {message}", "leave it out", key=True)


def nothing_to_wait_for(design: Design) -> Iterator[Finding]:
    """A route that the edge answers by itself waits for no service."""
    for index, route in design.routes:
        if route.static is None and route.redirect is None:
            continue
        options = ["cache"] if route.cache else []
        timeout = route.timeout
        options += [f"timeout.{name}" for name in ("answer", "idle") if timeout and getattr(timeout, name) is not None]
        for option in options:
            path: Path = ("gateway", "routes", index, option.partition(".")[0])
            message = f"{dotted(('gateway', 'routes', index))}.{option} has no effect: the edge answers by itself"
            yield Finding(path, message, "leave it out", key=True)


def _headers(design: Design) -> Iterator[_Place]:
    if design.stack.gateway is not None:
        yield ("gateway", "headers"), design.stack.gateway.headers, None
    for index, route in design.routes:
        yield ("gateway", "routes", index, "headers"), route.headers, route


def _names(changes: HeaderChanges) -> Iterator[tuple[str, str]]:
    for kind, names in (("set", changes.set), ("add", changes.add), ("remove", changes.remove)):
        for name in names:
            yield kind, name


RULES: tuple[Rule, ...] = (forbidden_headers, templates, cors_by_hand, cached_for_one, nothing_to_wait_for)
