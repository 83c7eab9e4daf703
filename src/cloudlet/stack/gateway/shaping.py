"""How requests and answers are changed on their way."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cloudlet.stack.fields import HeaderName, HeaderValue, JsonValue, Model, Shorthand, Text, matching, text
from cloudlet.stack.gateway.matching import Parameter


def _path(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class HeaderChanges(Model):
    """`{path}`, `{host}`, `{client}`, `{request_id}`, `{user}` and the path's parameters are filled in."""

    set: dict[HeaderName, HeaderValue] = Field(default={}, description="Replaces what is there.")
    add: dict[HeaderName, HeaderValue] = Field(default={}, description="Beside what is there.")
    remove: tuple[HeaderName, ...] = Field(default=(), description="Takes out.")


class Headers(Model):
    """Changes of headers, on the way to the service and back."""

    request: HeaderChanges = Field(default=HeaderChanges(), description="On the way to the service.")
    response: HeaderChanges = Field(default=HeaderChanges(), description="On the way to the client.")
    secure: bool = Field(
        default=False,
        description="Adds the usual security headers where the service sets none: Strict-Transport-Security (https), "
        "X-Content-Type-Options, X-Frame-Options, Referrer-Policy, Content-Security-Policy: frame-ancestors.",
    )


class QueryChanges(Model):
    """Changes of query parameters. In values, the path's parameters are filled in."""

    set: dict[Parameter, HeaderValue] = Field(default={}, description="Replaces or adds.")
    remove: tuple[Parameter, ...] = Field(default=(), description="Takes out.")


_NEW_PATH = r"^/(?!/)(?:[A-Za-z0-9._~!&()+,;=:@/{}-]|%[0-9A-Fa-f]{2})*$"
NewPath = Annotated[
    str, matching(_NEW_PATH, "a path to rewrite to", "begin it with one /, without a query"), text(_NEW_PATH, "path")
]


class Rewrite(Model):
    """What the service is asked for instead. The path's parameters are filled in; `{rest}` is what `*` took."""

    path: NewPath | None = Field(default=None, description="The new path, e.g. `/orders/{id}` or `/{rest}`.")
    query: QueryChanges = Field(default=QueryChanges(), description="Changes of the query.")


class FieldChanges(Model):
    """Changes of the fields of a JSON object; `a.b` is the field `b` of the object `a`."""

    rename: dict[Text, Text] = Field(default={}, description="Old name to new.")
    drop: tuple[Text, ...] = Field(default=(), description="Fields to take out.")
    keep: tuple[Text, ...] = Field(default=(), description="The only fields to keep.")
    add: dict[Text, JsonValue] = Field(default={}, description="Fields to add, with their values.")


class Body(Model):
    """Changes of JSON bodies; a list is changed item by item."""

    request: FieldChanges = Field(default=FieldChanges(), description="On the way to the service.")
    response: FieldChanges = Field(default=FieldChanges(), description="On the way to the client.")


class View(Model):
    """One kind of client's view of the answer. The first view whose condition holds is taken."""

    device: Text | None = Field(default=None, description="`mobile`, `tablet`, `desktop` or `bot`, by User-Agent.")
    header: dict[HeaderName, HeaderValue] = Field(default={}, description="Or by a header and its value.")
    response: FieldChanges = Field(default=FieldChanges(), description="What that client gets.")


RewriteTo = Annotated[Rewrite, Shorthand(_path, {"type": "string", "title": "path"})]
