"""How much: rate limits, by whom they count and by which algorithm."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cloudlet.stack.fields import Model, Rate, matching, text

_PER = r"^(?:global|client|user|key|endpoint|header:[A-Za-z0-9-]{1,64})$"
Per = Annotated[
    str,
    matching(_PER, "what a limit counts by", "write global, client, user, key, endpoint or header:NAME"),
    text(_PER, "what it counts by"),
]
LimitAlgorithm = Literal["fixed-window", "sliding-log", "sliding-counter", "token-bucket", "leaky-bucket"]


class RateLimit(Model):
    """At most this many requests; all limits of a route and of the gateway hold together."""

    rate: Rate = Field(description="Requests per time: 100/m.")
    per: Per = Field(
        default="client",
        description="Who is counted: `global`, `client` (address), `user`, `key`, `endpoint` (method and path), "
        "`header:NAME`.",
    )
    algorithm: LimitAlgorithm = Field(default="sliding-counter", description="How it is counted.")
    burst: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="token-bucket: what the bucket holds; leaky-bucket: how many may wait. The rate's count where left "
        "out.",
    )
