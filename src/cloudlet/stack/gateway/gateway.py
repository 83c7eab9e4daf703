"""The front door: where it listens, its routes, and what holds for all of them."""

from __future__ import annotations

from pydantic import Field

from cloudlet.stack.fields import Model
from cloudlet.stack.gateway.accepting import MediaType, Protect
from cloudlet.stack.gateway.cors import Cors
from cloudlet.stack.gateway.limits import RateLimit
from cloudlet.stack.gateway.listen import Listen
from cloudlet.stack.gateway.requirements import Addresses
from cloudlet.stack.gateway.route import Route
from cloudlet.stack.gateway.shaping import Headers
from cloudlet.stack.gateway.targets import MaintenanceMode


class Compression(Model):
    """gzip at the edge, for clients that accept it and answers that are not compressed yet."""

    types: tuple[MediaType, ...] = Field(
        min_length=1,
        default=(
            "text/html",
            "text/css",
            "text/plain",
            "text/javascript",
            "application/javascript",
            "application/json",
        ),
        description="The content types.",
    )


class Gateway(Model):
    """The front door."""

    listen: Listen = Field(default=Listen(), description="Ports and address.")
    routes: tuple[Route, ...] = Field(default=(), description="Which service answers what; all else gets 404.")
    allow: Addresses | None = Field(default=None, description="The only addresses that may ask.")
    deny: Addresses | None = Field(default=None, description="Addresses that may not.")
    rate_limits: tuple[RateLimit, ...] = Field(default=(), description="Limits for all routes together.")
    cors: Cors | None = Field(default=None, description="Pages of other origins, where a route says nothing.")
    headers: Headers = Field(default=Headers(), description="Headers set, added, removed, on all routes.")
    protect: Protect | None = Field(default=None, description="Rules against attacks, where a route says nothing.")
    compression: Compression | None = Field(default=None, description="gzip; `{}` for the usual types.")
    trace: bool = Field(
        default=False,
        description="W3C trace context: a valid `traceparent` is passed on, any other request gets one. Off, "
        "what comes goes through as it is.",
    )
    maintenance: MaintenanceMode = Field(default=None, description="503 for everything.")
