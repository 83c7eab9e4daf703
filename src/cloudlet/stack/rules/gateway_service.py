"""Routes that pass through the gateway service: what goes together there, and what has a meaning."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.files import is_file
from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.gateway import Route
from cloudlet.stack.gateway.placeholders import names, parameters
from cloudlet.stack.gateway.shaping import FieldChanges
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule

DEVICES = ("mobile", "tablet", "desktop", "bot")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_UNSAFE = _WITH_BODY | {"DELETE"}
#: bytes that the gateway service looks into; a static answer's file
_LARGEST_BODY, _LARGEST_FILE = 10_000_000, 1_000_000


def _found(index: int, keys: tuple[str | int, ...], message: str, fix: str, *, key: bool = False) -> Finding:
    path: Path = ("gateway", "routes", index, *keys)
    return Finding(path, f"{dotted(path)}: {message}", fix, key=key)


def one_target(design: Design) -> Iterator[Finding]:
    """Weights and variants are the edge's; what passes through the gateway service has one service, or none."""
    for index, route in design.routes:
        if not route.needs_gateway:
            continue
        reason = f"{', '.join(sorted(_steps(route)))} needs the gateway service"
        if len(route.to) > 1:
            yield _found(index, ("to",), f"{reason}, which asks one service, not several by weight", "name one")
        elif not route.to and not route.aggregate:
            yield _found(index, ("path",), f"{reason}, but no service is asked", "add `to: SERVICE`")
        if route.timeout and route.timeout.idle is not None:
            message = f"is for WebSockets, which do not pass where {reason}"
            yield _found(index, ("timeout", "idle"), message, "remove it", key=True)


def aggregates(design: Design) -> Iterator[Finding]:
    for index, route in design.routes:
        if route.aggregate is None:
            continue
        if not route.aggregate.calls:
            yield _found(index, ("aggregate", "calls"), "nobody is called", "add NAME: {to: SERVICE, path: /…}")
        for key in sorted(_beside_aggregate(route)):
            message = f"has no meaning beside `aggregate`: {_BESIDE[key]}"
            yield _found(index, tuple(key.split(".")), message, f"remove `{key}`", key=True)
        for place, name, known in _placeholders(route):
            message = f'holds "{{{name}}}", which nothing fills in'
            yield _found(index, ("aggregate", *place), message, f"there are: {', '.join(known)}; {{{{ is a brace")
        for name, call in route.aggregate.calls.items():
            if not call.path.startswith("/"):
                message = f'"{call.path}" is no path'
                yield _found(index, ("aggregate", "calls", name, "path"), message, "begin it with /")


_BESIDE = {
    "to": "its calls name the services",
    "static": "one of them answers",
    "redirect": "one of them answers",
    "grpc": "one of them answers",
    "rewrite": "each call has its own path",
    "idempotency": "it only reads",
    "methods": "it is only read, by GET",
    "body.request": "it takes no body",
    "accept.json_schema": "it takes no body",
    "timeout.answer": "each call has its own timeout",
}


def _beside_aggregate(route: Route) -> set[str]:
    given = {key for key in ("to", "static", "redirect", "grpc", "rewrite", "idempotency") if getattr(route, key)}
    given |= {"methods"} if set(route.methods) - _READING else set()
    given |= {"body.request"} if _changes(route.body.request) else set()
    given |= {"accept.json_schema"} if route.accept.json_schema else set()
    return given | ({"timeout.answer"} if route.timeout and route.timeout.answer is not None else set())


def _placeholders(route: Route) -> Iterator[tuple[tuple[str, ...], str, list[str]]]:
    """(place, name, known ones) of what is to be filled in and cannot be."""
    assert route.aggregate is not None, "only aggregates have calls"
    of_path = list(parameters(route.path))
    for name, call in route.aggregate.calls.items():
        for wanted in names(call.path):
            kind, colon, key = wanted.partition(":")
            if not (
                wanted == "query"
                or (kind == "query" and key)
                or (key if colon and kind == "path" else wanted) in of_path
            ):
                yield ("calls", name, "path"), wanted, [*of_path, "query", "query:NAME"]
    calls = list(route.aggregate.calls)
    for wanted in names(route.aggregate.answer):
        kind, colon, key = wanted.partition(":")
        if not ((kind == "path" and key in of_path) if colon else wanted.split(".")[0] in calls):
            yield ("answer",), wanted, [*calls, *(f"path:{name}" for name in of_path)]


def changes(design: Design) -> Iterator[Finding]:
    """Paths of fields, and the views that can be taken."""
    for index, route in design.routes:
        sides: list[tuple[tuple[str | int, ...], FieldChanges]] = [
            (("body", "request"), route.body.request),
            (("body", "response"), route.body.response),
            *((("views", name, "response"), view.response) for name, view in route.views.items()),
        ]
        for place, change in sides:
            for path in (*change.rename, *change.rename.values(), *change.drop, *change.keep, *change.add):
                if not all(path.split(".")):
                    yield _found(index, place, f'"{path}" is no path of a field', "write name or outer.inner")
        yield from _views(index, route)


def _views(index: int, route: Route) -> Iterator[Finding]:
    for number, (name, view) in enumerate(route.views.items()):
        if view.device is not None and view.device not in DEVICES:
            message = f'there is no device "{view.device}"'
            yield _found(index, ("views", name, "device"), message, f"write one of {', '.join(DEVICES)}")
        if view.device is None and not view.header and number < len(route.views) - 1:
            message = "is taken by everybody, so that the views after it never are"
            yield _found(index, ("views", name), message, "move it to the end, or give it a condition", key=True)


def bodies_checked(design: Design) -> Iterator[Finding]:
    """What could never be used, or never pass."""
    for index, route in design.routes:
        methods = set(route.methods)
        if route.accept.json_schema and methods and not methods & (_WITH_BODY | {"DELETE"}):
            message = "its methods bring no body to check"
            yield _found(index, ("accept", "json_schema"), message, "remove it, or add POST, PUT or PATCH", key=True)
        if route.idempotency and methods and not methods & _UNSAFE:
            message = "its methods only read, and nothing is kept for these"
            yield _found(index, ("idempotency",), message, "remove it, or add POST", key=True)
        if route.accept.body and route.accept.body > _LARGEST_BODY and _looks_into_requests(route):
            message = "the gateway service looks into 10MB of a body at most"
            yield _found(index, ("accept", "body"), message, "write at most 10MB")


def _looks_into_requests(route: Route) -> bool:
    accept = route.accept
    return bool(accept.json_schema or accept.openapi or route.idempotency or _changes(route.body.request))


def static_fallbacks(design: Design) -> Iterator[Finding]:
    for index, route in design.routes:
        static = route.fallback.static if route.fallback else None
        if static is None:
            continue
        place = ("fallback", "static")
        if static.file is not None and static.body is not None:
            yield _found(index, (*place, "file"), "is beside `body`, and one of them is enough", "remove one")
        elif static.file is not None and not is_file(static.file):
            yield _found(index, (*place, "file"), f"there is no file {static.file}", "correct the path")
        elif static.file is not None and static.file.stat().st_size > _LARGEST_FILE:
            yield _found(index, (*place, "file"), f"{static.file} is larger than 1MB", "make it smaller")


def fallback_services(design: Design) -> Iterator[Finding]:
    for index, route in design.routes:
        other = route.fallback.service if route.fallback else None
        if other is not None and other in [target.service for target in route.to]:
            yield _found(index, ("fallback", "service"), f"{other} is the service that failed", "name another one")


def _changes(change: FieldChanges) -> bool:
    return bool(change.rename or change.drop or change.keep or change.add)


def _steps(route: Route) -> set[str]:
    """The keys for which it passes through the gateway service."""
    whole = {key for key in ("aggregate", "grpc", "views", "idempotency", "fallback") if getattr(route, key)}
    whole |= {f"accept.{key}" for key in ("json_schema", "openapi") if getattr(route.accept, key)}
    return whole | ({"body"} if _changes(route.body.request) or _changes(route.body.response) else set())


RULES: tuple[Rule, ...] = (
    one_target,
    aggregates,
    changes,
    bodies_checked,
    static_fallbacks,
    fallback_services,
)
