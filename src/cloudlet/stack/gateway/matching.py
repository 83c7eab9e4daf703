"""Which requests a route takes: beside host and path, by method, header and query."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from cloudlet.stack.fields import PATH_PATTERN, HeaderName, HeaderValue, Model, Text, matching, text
from cloudlet.stack.findings import Fault

#: an exact path, a prefix, or segments that are parameters: /v1/orders/{id}
ROUTE_PATTERN = (
    r"^/(?:(?:[A-Za-z0-9._~!&()+,;=:@-]|%[0-9A-Fa-f]{2}|/|(?<=/)\{[a-z][a-z0-9_]{0,39}\}(?=/|$))*)(?:(?<=/)\*)?$"
)
#: the value that asks only that it is there
ANY = "any"
#: what the edge says of a request by itself, and routes may look at
_OWN_HEADERS = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")
_STRIPPED = ("x-forwarded-", "cloudlet-", "proxy", "forwarded", "x-real-ip", "keep-alive", "connection")
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
RoutePath = Annotated[
    str,
    matching(ROUTE_PATTERN, "a path of a route", "write /exact, /prefix/* or /with/{parameter}"),
    text(PATH_PATTERN.removesuffix("$") + r"[{}*]?", "path"),
]


def _seen(name: str) -> str:
    """Refuses headers that no request has when it is routed."""
    lower = name.lower()
    if not lower.replace("-", "").isalnum():
        raise Fault(f'"{name}" is on no request: the edge refuses it', "use letters, digits and `-`")
    if lower.startswith(_STRIPPED) and lower not in _OWN_HEADERS:
        raise Fault(f'"{name}" is on no request: the edge takes it out before it routes', "use another header")
    return name


def _whole(value: str) -> str:
    if value != value.strip():
        raise Fault(f'"{value}" begins or ends with a blank, as no value does', f'write "{value.strip()}"')
    return value


def _named(value: str) -> str:
    if not value:
        raise Fault("a parameter needs a name", "write `name: value`")
    return value


#: what a header or a query parameter must be: a value, or `any`
Wanted = Annotated[HeaderValue, AfterValidator(_whole)]
Seen = Annotated[HeaderName, AfterValidator(_seen)]
Parameter = Annotated[
    Text,
    matching(r"^[\x20-\x7e\x80-\U0010ffff]{0,200}$", "a parameter's name", "write it on one line"),
    AfterValidator(_named),
]


class Match(Model):
    """Conditions on a request beside host, path and method; all must hold. `any` asks only that it is there. A header
    or parameter that is there twice has no value to compare."""

    headers: dict[Seen, Wanted] = Field(default={}, description="Header to value, or `any`.")
    query: dict[Parameter, Wanted] = Field(default={}, description="Parameter to value, or `any`.")

    @model_validator(mode="after")
    def _once(self) -> Match:
        names = [name.lower() for name in self.headers]
        for name in names:
            if names.count(name) > 1:
                raise Fault(f"the header {name} is here twice, in other letters", "remove one of them")
        return self
