"""Which requests a route takes: beside host and path, by method, header and query."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cloudlet.stack.fields import PATH_PATTERN, HeaderName, HeaderValue, Model, Text, matching, text

#: an exact path, a prefix, or segments that are parameters: /v1/orders/{id}
ROUTE_PATTERN = (
    r"^/(?:(?:[A-Za-z0-9._~!&()+,;=:@-]|%[0-9A-Fa-f]{2}|/|(?<=/)\{[a-z][a-z0-9_]{0,39}\}(?=/|$))*)(?:(?<=/)\*)?$"
)
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
RoutePath = Annotated[
    str,
    matching(ROUTE_PATTERN, "a path of a route", "write /exact, /prefix/* or /with/{parameter}"),
    text(PATH_PATTERN.removesuffix("$") + r"[{}*]?", "path"),
]
#: what a header or a query parameter must be: a value, or `any`
Wanted = Annotated[Text, HeaderValue]


class Match(Model):
    """Conditions on a request beside host, path and method; all must hold. `any` asks only that it is there."""

    headers: dict[HeaderName, HeaderValue] = Field(default={}, description="Header to value, or `any`.")
    query: dict[Text, Text] = Field(default={}, description="Parameter to value, or `any`.")
