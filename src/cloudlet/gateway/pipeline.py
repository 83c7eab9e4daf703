"""A route's handler, built once from its design: the steps it asks for around the source of its answers.

From the outside in; a request passes down, its answer back up:

    validation      what does not fit the schema goes no further
    idempotency     the answer stored is the one that the client got
    written         the fallback's static answer, given as it is written
    views, bodies   see whatever the source gave, and the fallback's cached answers
    fallback        another service, the last good answer
    source          the service, an aggregation, a gRPC method
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING

from cloudlet.errors import OperatorError
from cloudlet.gateway import aggregation, bodies, fallback, views
from cloudlet.gateway.request import Handler, Request, Step
from cloudlet.gateway.response import Response
from cloudlet.gateway.upstream import Upstream
from cloudlet.stack.gateway import Route

if TYPE_CHECKING:
    from cloudlet.gateway.idempotency_store import IdempotencyStore

#: makes the handler that answers a kind of route; registered for `grpc`
Source = Callable[[Route], Handler]


class Pipelines:
    """Builds handlers. `sources` are by the key of the file that asks for them, such as `grpc`; `store` is there when
    a route honours keys."""

    def __init__(
        self,
        upstream: Upstream,
        sources: Mapping[str, Source] | None = None,
        store: IdempotencyStore | None = None,
    ) -> None:
        self._upstream, self._sources, self._store = upstream, dict(sources or {}), store

    def build(self, label: str, route: Route) -> Handler:
        """Raises OperatorError for a document or file that cannot be used."""
        steps = (
            *_validation(route),
            self._idempotency(label, route),
            fallback.static_step(route.fallback.static) if route.fallback and route.fallback.static else None,
            views.step(route.views),
            bodies.step(route.body),
            self._fallback(route),
        )
        wanted = [step for step in steps if step is not None]
        return reduce(lambda handler, step: step(handler), reversed(wanted), self._source(route))

    def _source(self, route: Route) -> Handler:
        for key, make in self._sources.items():
            if getattr(route, key) is not None:
                return make(route)
        if route.aggregate is not None:
            return aggregation.source(self._upstream, route.path, route.aggregate)
        return passing(self._upstream, route)

    def _idempotency(self, label: str, route: Route) -> Step | None:
        if route.idempotency is None:
            return None
        if self._store is None:
            raise OperatorError(f"the route {label} keeps answers, but no store is given")
        from cloudlet.gateway.idempotency import Guard  # noqa: PLC0415  (and with it the client of the store)

        return Guard(label, route.idempotency, self._store).wrap

    def _fallback(self, route: Route) -> Step | None:
        design = route.fallback
        if design is None or (design.service is None and design.cached is None):
            return None
        return fallback.step(self._upstream, design, _timeout(route))


def passing(upstream: Upstream, route: Route) -> Handler:
    """Passes on to the route's service."""
    service, timeout = route.to[0].service, _timeout(route)

    async def handle(request: Request) -> Response:
        return await upstream.ask(service, request, timeout)

    return handle


def _timeout(route: Route) -> float | None:
    return route.timeout.answer if route.timeout else None


def _validation(route: Route) -> list[Step]:
    """Imported where it is used: the validator costs a start 40 ms."""
    accept = route.accept
    steps: list[Step] = []
    if accept.openapi is not None:
        from cloudlet.gateway import openapi  # noqa: PLC0415

        steps.append(openapi.load(accept.openapi))
    if accept.json_schema is not None:
        from cloudlet.gateway import validation  # noqa: PLC0415

        steps.append(validation.load(accept.json_schema))
    return steps
