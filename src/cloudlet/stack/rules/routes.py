"""Routes: every request has one, none can be written in two ways, and each says how it is answered."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.files import is_file
from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.gateway import Route
from cloudlet.stack.gateway.paths import Pattern, pattern
from cloudlet.stack.gateway.templates import parameters, words
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule

#: bytes of a static answer's file
LARGEST_FILE = 1_000_000
_ANSWERS = ("to", "static", "redirect", "aggregate")
_OWN_WORDS = ("path", "query", "host", "rest")


def _found(index: int, keys: tuple[str | int, ...], message: str, fix: str, *, key: bool = False) -> Finding:
    path: Path = ("gateway", "routes", index, *keys)
    return Finding(path, f"{dotted(path)}: {message}", fix, key=key)


def duplicates(design: Design) -> Iterator[Finding]:
    """Routes that would take what others take first, whatever is asked: equal host, path and conditions, and no method
    of their own."""
    known: dict[object, list[tuple[int, Route]]] = {}
    for index, route in design.routes:
        same = known.setdefault(_asked(route), [])
        if same and set(route.methods) <= {method for _, other in same for method in other.methods}:
            host = f" of {route.host}" if route.host else ""
            first = next(n for n, other in same if not route.methods or set(route.methods) & set(other.methods))
            message = f'"{route.path}"{host} has a route already, gateway.routes[{first}]'
            yield _found(index, ("path",), message, "remove one of them, or tell them apart by `methods` or `match`")
        same.append((index, route))


def _asked(route: Route) -> object:
    """What is asked beside the method; whether any is named counts, because those routes go first."""
    headers = frozenset((name.lower(), value) for name, value in route.match.headers.items())
    path: Pattern | str = pattern(route.path) or route.path
    place = (path.segments, path.prefix) if isinstance(path, Pattern) else path
    return route.host, place, headers, frozenset(route.match.query.items()), bool(route.methods)


def names(design: Design) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, route in design.routes:
        known = first.setdefault(route.name, index) if route.name else index
        if known != index:
            message = f'"{route.name}" is the name of gateway.routes[{known}]'
            yield _found(index, ("name",), message, "give it another one: counts and limits go by it")


def normal(design: Design) -> Iterator[Finding]:
    """The edge normalises paths before it routes, so one that is not normal would never be asked for."""
    for index, route in design.routes:
        steps = route.path.split("/")[1:]
        if "" in steps[:-1] or {".", ".."} & set(steps):
            message = f'"{route.path}" holds "//", "." or "..", which no request has when it is routed'
            yield _found(index, ("path",), message, "write the path as it is after these are resolved")
        known = parameters(route.path)
        for name in dict.fromkeys(known):
            if known.count(name) > 1:
                yield _found(index, ("path",), f"{{{name}}} is there twice", "give each parameter its own name")
            if name in _OWN_WORDS:
                message = f"{{{name}}} has a meaning of its own in redirects and rewrites"
                yield _found(index, ("path",), message, "call the parameter otherwise")


def answered(design: Design) -> Iterator[Finding]:
    """By a service, or by the edge, and not by both."""
    for index, route in design.routes:
        given = [key for key in _ANSWERS if getattr(route, key)]
        if not given and not route.maintenance and not route.needs_gateway:
            yield _found(index, ("path",), "nobody answers this route", f"add one of {', '.join(_ANSWERS)}")
        elif len(given) > 1 and "aggregate" not in given:
            message = f"{' and '.join(given)} can't both answer"
            yield _found(index, (given[-1],), message, "keep one of them", key=True)
        if route.rewrite and not route.to and "aggregate" not in given:
            yield _found(index, ("rewrite",), "no service is asked, so nothing is rewritten", "remove it", key=True)


def several(design: Design) -> Iterator[Finding]:
    """Weights and variants."""
    cookies: dict[str, tuple[int, frozenset[str]]] = {}
    for index, route in design.routes:
        services = [target.service for target in route.to]
        for place, name in enumerate(services):
            if name in services[:place]:
                yield _found(index, ("to", place), f'"{name}" is here twice', "add their weights up")
        if services and not any(target.weight for target in route.to):
            yield _found(index, ("to",), "every weight is 0, so nobody answers", "give one of them a weight")
        if route.sticky is None:
            continue
        if len(services) < 2:
            message = "there is one service, so every client stays with it"
            yield _found(index, ("sticky",), message, "remove it, or name several services", key=True)
            continue
        other, theirs = cookies.setdefault(route.sticky.cookie, (index, frozenset(services)))
        if theirs != frozenset(services):
            message = f'the cookie "{route.sticky.cookie}" tells gateway.routes[{other}] of other services'
            yield _found(index, ("sticky",), message, "give it a cookie of its own: `cookie: NAME`", key=True)


def filled_in(design: Design) -> Iterator[Finding]:
    """Words that redirects and rewrites use are known on the route."""
    for index, route in design.routes:
        known = [*parameters(route.path), *(["rest"] if route.path.endswith("/*") else [])]
        if route.redirect:
            yield from _words(index, ("redirect",), route.redirect.to, ["path", "query", "host", *known])
        if route.rewrite:
            for text in (route.rewrite.path or "", *route.rewrite.query.set.values()):
                yield from _words(index, ("rewrite",), text, known)


def _words(index: int, place: tuple[str, ...], template: str, known: list[str]) -> Iterator[Finding]:
    for word in words(template):
        if word not in known:
            listed = (
                f"there are {', '.join(f'{{{name}}}' for name in known)}" if known else "there is nothing to fill in"
            )
            yield _found(index, place, f"{{{word}}} is not known here", listed)


def static_files(design: Design) -> Iterator[Finding]:
    for index, route in design.routes:
        file = route.static.file if route.static else None
        if file is None:
            continue
        if not is_file(file):
            yield _found(index, ("static", "file"), f"there is no file {file}", "correct the path")
        elif file.stat().st_size > LARGEST_FILE:
            message = f"{file} is larger than 1MB, the most that the edge answers by itself"
            yield _found(index, ("static", "file"), message, "let a service give it")


RULES: tuple[Rule, ...] = (duplicates, names, normal, answered, several, filled_in, static_files)
