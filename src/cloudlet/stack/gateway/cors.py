"""Cross-origin requests (the Fetch standard, 3.2)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from cloudlet.stack.fields import Duration, HeaderName, Model, Shorthand
from cloudlet.stack.findings import Fault
from cloudlet.stack.gateway.matching import Method

#: every origin, or every header
ANY = "*"
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]{0,30}://(?:\*\.)?(?P<host>[a-z0-9.-]{1,253}|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORTS = ("http://", "80"), ("https://", "443")


def _origin(value: str) -> str:
    """As browsers send it: scheme, host and port, in lower case, without the scheme's own port or a path."""
    lower = value.lower()
    if lower == ANY:
        return lower
    found = _ORIGIN.fullmatch(lower)
    if found is None:
        raise Fault(
            f'"{value}" is not an origin, as browsers send it',
            "write https://shop.example, https://*.shop.example or *, without a path; `null` is nobody's",
        )
    if any(lower.startswith(scheme) and found["port"] == port for scheme, port in _DEFAULT_PORTS):
        raise Fault(f'"{value}" names its scheme\'s own port, which browsers leave out', f"leave :{found['port']} out")
    return lower


Origin = Annotated[str, AfterValidator(_origin), WithJsonSchema({"type": "string", "title": "origin"})]


class Cors(Model):
    """Which pages of other origins may call, and what they may see."""

    origins: Annotated[
        tuple[Origin, ...], Shorthand(lambda v: [v] if isinstance(v, str) else v, {"type": "string"})
    ] = Field(
        min_length=1, description="`https://shop.example`, `https://*.shop.example` (every host below it), `*` for all."
    )
    methods: tuple[Method, ...] = Field(
        default=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"), description="The methods they may use."
    )
    headers: tuple[HeaderName, ...] = Field(
        default=("Content-Type", "Authorization"), description="The headers they may send; `*` for all."
    )
    expose: tuple[HeaderName, ...] = Field(default=(), description="The headers they may read.")
    credentials: bool = Field(default=False, description="Whether cookies are sent; never with origin `*`.")
    max_age: Duration = Field(default=600.0, description="How long a browser may remember a preflight.")

    @model_validator(mode="after")
    def _credentials(self) -> Cors:
        if self.credentials and ANY in self.origins:
            raise Fault(
                "lets every page on the web act with its visitor's cookies (`credentials` with origin `*`)",
                "name the origins, or leave `credentials` out",
            )
        if self.credentials and ANY in (*self.headers, *self.expose):
            raise Fault("with `credentials`, browsers take the header `*` by its letter", "name the headers")
        return self
