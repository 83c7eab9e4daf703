"""A route: which requests it takes, what it asks of them, and who answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cloudlet.stack.fields import Host, Model, Text, matching, text
from cloudlet.stack.gateway.accepting import Accept, Protect
from cloudlet.stack.gateway.composition import Aggregate, Grpc
from cloudlet.stack.gateway.cors import Cors
from cloudlet.stack.gateway.limits import RateLimit
from cloudlet.stack.gateway.matching import Match, Method, RoutePath
from cloudlet.stack.gateway.requirements import Addresses, Require
from cloudlet.stack.gateway.resilience import CacheFor, Fallback, IdempotencyOrKeep, TimeoutsOrAnswer
from cloudlet.stack.gateway.shaping import Body, Headers, RewriteTo, View
from cloudlet.stack.gateway.targets import MaintenanceMode, RedirectTo, Static, Targets, Variant

_LABEL = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


class Route(Model):
    """Requests for `host` and `path` go to a service. The specific route wins over the general one."""

    name: (
        Annotated[
            str, matching(_LABEL, "a name of a route", "use letters, digits, `.`, `_` and `-`"), text(_LABEL, "name")
        ]
        | None
    ) = Field(default=None, description="As logs and metrics call it; made from method, host and path else.")
    host: Host | None = Field(default=None, description="The host asked for; without it any.")
    path: RoutePath = Field(
        description="`/exact`; `/prefix/*`, which takes `/prefix` too; `/orders/{id}`; `/*` takes everything."
    )
    methods: tuple[Method, ...] = Field(default=(), description="The methods it takes; without them all.")
    match: Match = Field(default=Match(), description="Further conditions.")

    allow: Addresses | None = Field(default=None, description="The only addresses that may ask.")
    deny: Addresses | None = Field(default=None, description="Addresses that may not.")
    require: Require | None = Field(default=None, description="Credentials, roles, scopes, policies.")
    rate_limits: tuple[RateLimit, ...] = Field(default=(), description="How often; all of them hold.")
    cors: Cors | None = Field(default=None, description="Pages of other origins.")
    accept: Accept = Field(default=Accept(), description="Size and shape of a request.")
    protect: Protect | None = Field(default=None, description="Rules against common attacks.")

    to: Targets = Field(default=(), description="The service that answers, or several with weights.")
    sticky: Variant | None = Field(default=None, description="Keeps a client on the same one of several services.")
    static: Static | None = Field(default=None, description="The edge answers by itself.")
    redirect: RedirectTo | None = Field(default=None, description="The client is sent elsewhere.")
    aggregate: Aggregate | None = Field(default=None, description="One answer from several services.")
    grpc: Grpc | None = Field(default=None, description="JSON to gRPC; `to` names the gRPC service.")
    maintenance: MaintenanceMode = Field(default=None, description="503 for everything, `true` or with what to say.")

    rewrite: RewriteTo | None = Field(default=None, description="Another path or query for the service.")
    headers: Headers = Field(default=Headers(), description="Headers set, added, removed.")
    body: Body = Field(default=Body(), description="Fields of JSON bodies renamed, dropped, added.")
    views: dict[Text, View] = Field(default={}, description="Answers by kind of client.")

    timeout: TimeoutsOrAnswer | None = Field(default=None, description="Time limits, by phase.")
    concurrency: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Requests under way at once (bulkhead); more get 503."
    )
    idempotency: IdempotencyOrKeep | None = Field(default=None, description="Honours `Idempotency-Key`.")
    fallback: Fallback | None = Field(default=None, description="What is answered when the service fails.")
    cache: CacheFor | None = Field(default=None, description="Answers kept at the edge.")

    @property
    def services(self) -> tuple[str, ...]:
        """Every service that may be asked, each once."""
        calls = (call.to for call in self.aggregate.calls.values()) if self.aggregate else ()
        fallback = (self.fallback.service,) if self.fallback and self.fallback.service else ()
        return tuple(dict.fromkeys((*(target.service for target in self.to), *calls, *fallback)))

    @property
    def needs_gateway(self) -> bool:
        """Whether the edge alone can't do it, so that requests pass through the gateway service."""
        accept, changes = self.accept, (self.body.request, self.body.response)
        return bool(
            self.aggregate
            or self.grpc
            or self.views
            or self.idempotency
            or self.fallback
            or accept.json_schema
            or accept.openapi
            or any(part.rename or part.drop or part.keep or part.add for part in changes)
        )
