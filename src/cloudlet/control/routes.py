"""Routes for people: in the order in which they are tried, with what they were asked, and who takes a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cloudlet.contracts.edge import EdgeConfiguration, Route, RouteStatistics
from cloudlet.control.own import own_routes
from cloudlet.control.topology import route
from cloudlet.control.views import PassedRoute, RouteCounts, RouteDecision, RouteStatus, VariantStatus
from cloudlet.edge.render_routes import table
from cloudlet.errors import OperatorError
from cloudlet.policy.conditions import Condition
from cloudlet.policy.routing import Request
from cloudlet.stack import Route as RouteDesign
from cloudlet.stack import Stack
from cloudlet.stack.gateway.paths import canonical


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that somebody wonders about."""

    method: str
    host: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]


def asked(method: str, url: str, headers: Sequence[tuple[str, str]]) -> Asked:
    """`url` may be a path alone; then the host is that of a Host header, or localhost. Raises OperatorError."""
    try:
        if "://" in url and not url.startswith(("http://", "https://")):
            raise OperatorError(f"{url} is no URL of a gateway: write http://HOST/PATH, or a path alone")
        parts = urlsplit(url if "://" in url else f"http://localhost{url}" if url.startswith("/") else f"http://{url}")
        host = (parts.hostname or "").rstrip(".")
    except ValueError as error:
        raise OperatorError(f"{url} is no URL: {error}") from error
    given = [value for name, value in headers if name.lower() == "host"] if url.startswith("/") else []
    host = given[0].rpartition(":")[0] or given[0] if given else host
    return Asked(method.upper(), host.lower(), parts.path or "/", parts.query, tuple(headers))


def explain(stack: Stack, wanted: Asked) -> RouteDecision:
    """Which route of the design takes it, by the same policy that the edge is held to."""
    shown = (wanted.method, wanted.host, wanted.path, wanted.query)
    path = canonical(wanted.path)
    if path is None:
        because = "the edge refuses a path with dot segments, null bytes or broken encoding: it is ambiguous"
        return RouteDecision(*shown, "", 400, because)
    edge = _edge(stack, own_routes(stack))
    made = table(edge).decide(Request(wanted.method, wanted.host, path, wanted.headers, wanted.query))
    answers = {each.label: answer(each.design) for each in edge.routes if each.design}
    return RouteDecision(
        *shown,
        made.label or "",
        made.status,
        made.because,
        answers.get(made.label or "", ""),
        list(made.allow),
        [PassedRoute(item.label, item.because) for item in made.passed],
    )


def route_statuses(stack: Stack, counted: Iterable[RouteStatistics] | None) -> list[RouteStatus]:
    """All routes; `counted` is None where nothing runs."""
    edge = _edge(stack)
    known = {each.label: each for each in edge.routes}
    counts = {(item.label, item.variant): item for item in counted} if counted is not None else None
    return [_status(known[item.label], item.conditions, counts) for item in table(edge).ordered]


def _edge(stack: Stack, more: Iterable[RouteDesign] = ()) -> EdgeConfiguration:
    if stack.gateway is None:
        raise OperatorError("the file has no gateway, and so no routes; add `gateway: {routes: [...]}`")
    return EdgeConfiguration(
        routes=tuple(map(route, (*stack.gateway.routes, *more))),
        gateway=stack.gateway.model_copy(update={"routes": ()}),
    )


def _status(
    each: Route, conditions: Iterable[Condition], counts: dict[tuple[str, str], RouteStatistics] | None
) -> RouteStatus:
    design = each.design
    assert design is not None, "routes of a file have a design"
    variants = [
        VariantStatus(name, weight, _counts(each.label, name, counts) or RouteCounts()) for name, weight in each.targets
    ]
    return RouteStatus(
        each.label,
        design.host or "",
        design.path,
        list(design.methods),
        [f"{item.where} {item.name}={item.value}" for item in conditions],
        answer(design),
        _counts(each.label, "", counts),
        variants,
    )


def _counts(label: str, variant: str, counts: dict[tuple[str, str], RouteStatistics] | None) -> RouteCounts | None:
    if counts is None:
        return None
    item = counts.get((label, variant), RouteStatistics(label))
    return RouteCounts(item.requests, item.errors_4xx, item.errors_5xx, item.sessions, item.rate)


def answer(design: RouteDesign) -> str:
    """Who answers its requests, in a few words."""
    if design.maintenance is not None:
        return "maintenance (503)"
    if design.static is not None:
        return f"the edge itself ({design.static.status})"
    if design.redirect is not None:
        return f"redirect to {design.redirect.to} ({design.redirect.status})"
    if len(design.to) > 1:
        whole = sum(target.weight for target in design.to)
        return ", ".join(f"{target.service} {target.weight / whole:.0%}" for target in design.to)
    return ", ".join(design.services)
