"""What answers a request: services with weights, or the edge itself."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from cloudlet.stack.fields import (
    WORD_PATTERN,
    Duration,
    FilePath,
    HeaderName,
    HeaderValue,
    Model,
    Name,
    Shorthand,
    Text,
    matching,
    text,
)
from cloudlet.stack.findings import Fault

#: what a redirect may lead to: a path, or a URL whose host is written out or is the client's own
_TARGET = re.compile(
    r"(?:(?:/(?!/)|\{path\})|https?://(?:\{host\}|[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?#]|\{path\}|$))"
    r"[\x21-\x7e]*"
)


def _target(value: str) -> str:
    if not _TARGET.match(value) or not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]*", value):
        raise Fault(
            f'"{value}" is no path and no URL that a redirect may lead to',
            "write /path, {path}, or https://HOST/path, where HOST is a name or {host}",
        )
    return value


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

    @model_validator(mode="after")
    def _possible(self) -> Static:
        if self.status in (204, 304) and (self.body or self.file):
            raise Fault(f"an answer of {self.status} has no body", "leave `body` and `file` out, or change `status`")
        if self.body is not None and self.file is not None:
            raise Fault("an answer has one body", "remove `body` or `file`")
        for name in self.headers:
            if name.lower() in ("content-length", "content-type", "transfer-encoding", "connection"):
                raise Fault(f"the edge says {name} by itself", "use `content_type`, or leave it out")
        return self


class Redirect(Model):
    """The client is sent elsewhere. `{path}`, `{query}`, `{host}`, `{rest}` (what `*` took) and the path's parameters
    are filled in. `?{query}` is left out where there is none."""

    to: Annotated[Text, AfterValidator(_target)] = Field(description="A path or a whole URL.")
    status: Literal[301, 302, 303, 307, 308] = Field(default=308, description="308 and 301 are for ever.")


class Maintenance(Model):
    """Everything is answered by 503 until it is taken out."""

    retry_after: Duration = Field(default=60.0, description="When clients should ask again.")
    body: Text | None = Field(default=None, description="What people read; problem details where it is left out.")
    content_type: HeaderValue = Field(default="text/plain; charset=utf-8", description="What the body is.")


class Variant(Model):
    """Keeps a client on the service that it got first, for tests of one against the other."""

    cookie: Annotated[
        str,
        matching(WORD_PATTERN, "a cookie's name", "use letters, digits, `_`, `.` and `-`"),
        text(WORD_PATTERN, "name"),
    ] = Field(default="variant", description="The cookie that remembers it; it holds the service's name.")
    lifetime: Duration = Field(default=7 * 86400.0, description="How long.")


Targets = Annotated[tuple[Target, ...], Shorthand(_services, {"type": "string", "title": "name"})]
RedirectTo = Annotated[Redirect, Shorthand(_location, {"type": "string", "title": "path or URL"})]
MaintenanceMode = Annotated[
    Maintenance | None, Shorthand(_switch, {"type": "boolean", "title": "on or off"}), WithJsonSchema({})
]
