"""Outbound: what services may reach outside, and by which proxy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cloudlet.stack.fields import Model, Name, Size, matching, text

_DESTINATION = (
    r"^(?:\*|(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|[0-9A-Fa-f.:]+/[0-9]{1,3}|\[[0-9A-Fa-f:.]+\])"
    r"(?::[0-9]{1,5})?$"
)
Destination = Annotated[
    str,
    matching(_DESTINATION, "a destination", "write host, *.domain, address or network, with :port where it matters"),
    text(_DESTINATION, "destination"),
]


class Rules(Model):
    """What one service may reach. A denied destination stays denied though an allowed one covers it."""

    allow: tuple[Destination, ...] = Field(default=(), description="Destinations it may reach.")
    deny: tuple[Destination, ...] = Field(default=(), description="Destinations it may not.")


class Egress(Model):
    """A forward proxy for the instances; what no rule allows is refused."""

    mode: Literal["enforced", "advisory"] = Field(
        default="enforced",
        description="`enforced` blocks the direct way (needs root); `advisory` only offers the proxy, and `status` "
        "says so.",
    )
    default: Rules = Field(default=Rules(), description="For services without rules of their own.")
    services: dict[Name, Rules] = Field(default={}, description="Rules by service.")
    cache: Size | None = Field(default=None, description="Memory for answers to plain HTTP; without it none is kept.")
    log: Literal["all", "refused"] = Field(default="all", description="What is written to its log.")
