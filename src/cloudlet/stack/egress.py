"""Outbound: what services may reach outside, and by which proxy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cloudlet.stack.destinations import Destination as Pattern
from cloudlet.stack.destinations import parse_destination
from cloudlet.stack.fields import Model, Name, PositiveDuration, Size, text

#: for editors; `parse_destination` knows better
_NAME = r"(?:\*\.)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}(?:/[0-9]{1,2})?"
_PATTERN = rf"^(?:\*|{_NAME}|\[?[0-9A-Fa-f.:]+(?:/[0-9]{{1,3}})?\]?)(?::[0-9]{{1,5}})?$"
Destination = Annotated[
    str,
    AfterValidator(lambda value: parse_destination(value).text),
    text(_PATTERN, "destination"),
]


class Rules(Model):
    """What one service may reach. A denied destination stays denied though an allowed one covers it."""

    allow: tuple[Destination, ...] = Field(
        default=(),
        description="Destinations it may reach: `host`, `*.domain`, an address or a network, or `*`, each with "
        "`:port` or for every port but 25. Loopback, private and link-local addresses only by a network.",
    )
    deny: tuple[Destination, ...] = Field(default=(), description="Destinations it may not.")

    @property
    def allowed(self) -> tuple[Pattern, ...]:
        return tuple(map(parse_destination, self.allow))

    @property
    def denied(self) -> tuple[Pattern, ...]:
        return tuple(map(parse_destination, self.deny))


class Egress(Model):
    """A forward proxy for the instances; what no rule allows is refused."""

    mode: Literal["enforced", "advisory"] = Field(
        default="enforced",
        description="`enforced` blocks the direct way (needs root and nftables); `advisory` only offers the proxy, and "
        "`status` says so.",
    )
    default: Rules = Field(default=Rules(), description="For services without rules of their own.")
    services: dict[Name, Rules] = Field(default={}, description="Rules by service.")
    idle: PositiveDuration = Field(default=600.0, description="How long a tunnel may carry nothing.")
    cache: Size | None = Field(default=None, description="Memory for answers to plain HTTP; without it none is kept.")
    log: Literal["all", "refused"] = Field(default="all", description="What is written to its log.")

    def rules(self, service: str) -> Rules:
        """What holds for a service."""
        return self.services.get(service, self.default)
