"""What answers a request: services with weights, or the edge itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from cloudlet.stack.fields import Duration, FilePath, HeaderName, HeaderValue, Model, Name, Shorthand, Text


def _services(value: Any) -> Any:
    """`to: orders` is a list of one."""
    return [{"service": value}] if isinstance(value, str) else value


def _location(value: Any) -> Any:
    return {"to": value} if isinstance(value, str) else value


def _switch(value: Any) -> Any:
    return {} if value in (True, "true", "on") else None if value in (False, "false", "off", None) else value


class Target(Model):
    """One of the services that a route is spread over."""

    service: Name = Field(description="The service.")
    weight: int = Field(default=1, ge=0, le=1_000_000, description="Its share of the route, beside the others'.")


class Static(Model):
    """An answer that the edge gives by itself."""

    status: int = Field(default=200, ge=200, le=599, description="The status.")
    body: Text | None = Field(default=None, description="The body.")
    file: FilePath | None = Field(default=None, description="Or a file that holds it, at most 1 MB.")
    content_type: HeaderValue = Field(default="text/plain; charset=utf-8", description="What the body is.")
    headers: dict[HeaderName, HeaderValue] = Field(default={}, description="Further headers.")


class Redirect(Model):
    """The client is sent elsewhere. `{path}`, `{query}`, `{host}` and the path's parameters are filled in."""

    to: Text = Field(description="A path or a whole URL.")
    status: Literal[301, 302, 303, 307, 308] = Field(default=308, description="308 and 301 are for ever.")


class Maintenance(Model):
    """Everything is answered by 503 until it is taken out."""

    retry_after: Duration = Field(default=60.0, description="When clients should ask again.")
    body: Text | None = Field(default=None, description="What people read; problem details where it is left out.")
    content_type: HeaderValue = Field(default="text/plain; charset=utf-8", description="What the body is.")


class Variant(Model):
    """Keeps a client on the service that it got first, for tests of one against the other."""

    cookie: Text = Field(default="variant", description="The cookie that remembers it.")
    lifetime: Duration = Field(default=7 * 86400.0, description="How long.")


Targets = Annotated[tuple[Target, ...], Shorthand(_services, {"type": "string", "title": "name"})]
RedirectTo = Annotated[Redirect, Shorthand(_location, {"type": "string", "title": "path or URL"})]
MaintenanceMode = Annotated[
    Maintenance | None, Shorthand(_switch, {"type": "boolean", "title": "on or off"}), WithJsonSchema({})
]
