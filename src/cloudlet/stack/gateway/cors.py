"""Cross-origin requests (the Fetch standard, 3.2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cloudlet.stack.fields import Duration, HeaderName, Model, Shorthand, Text
from cloudlet.stack.gateway.matching import Method


class Cors(Model):
    """Which pages of other origins may call, and what they may see."""

    origins: Annotated[tuple[Text, ...], Shorthand(lambda v: [v] if isinstance(v, str) else v, {"type": "string"})] = (
        Field(description="`https://shop.example`, `https://*.shop.example`, or `*` for all.")
    )
    methods: tuple[Method, ...] = Field(
        default=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"), description="The methods they may use."
    )
    headers: tuple[HeaderName, ...] = Field(
        default=("Content-Type", "Authorization"), description="The headers they may send."
    )
    expose: tuple[HeaderName, ...] = Field(default=(), description="The headers they may read.")
    credentials: bool = Field(default=False, description="Whether cookies are sent; never with origin `*`.")
    max_age: Duration = Field(default=600.0, description="How long a browser may remember a preflight.")
