"""How cloudlet learns that an instance can serve, and that it cannot any more."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from cloudlet.stack.fields import (
    QUERY_PATTERN,
    Duration,
    ErrorCount,
    Model,
    PositiveDuration,
    Share,
    matching,
    text,
)
from cloudlet.stack.findings import Fault

#: inclusive, as in contracts.edge.Check
StatusRange: TypeAlias = tuple[int, int]

_STATUS = r"[1-5][0-9]{2}"
_RANGE = re.compile(rf"({_STATUS})(?:-({_STATUS}))?")


def _status_range(value: object) -> object:
    if isinstance(value, int):
        return (value, value)
    if not isinstance(value, str):
        return value
    found = _RANGE.fullmatch(value)
    if not found or int(found[1]) > int(found[2] or found[1]):
        raise Fault(f'"{value}" is no status or range of them', "write 200 or 200-399")
    return (int(found[1]), int(found[2] or found[1]))


def _shown(value: StatusRange) -> str:
    return str(value[0]) if value[0] == value[1] else f"{value[0]}-{value[1]}"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, (str, int)) else value


def _schema(items: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [items, {"type": "array", "items": items, "minItems": 1}], "title": "statuses"})


Statuses = Annotated[
    tuple[
        Annotated[StatusRange, BeforeValidator(_status_range), PlainSerializer(_shown, str, when_used="json")],
        ...,
    ],
    BeforeValidator(_listed),
    Field(min_length=1),
    _schema({"type": ["integer", "string"], "pattern": f"^{_STATUS}(?:-{_STATUS})?$"}),
]
CheckPath = Annotated[
    str,
    matching(QUERY_PATTERN, "a path", "begin with / and percent-encode what is no letter, digit or -._~"),
    text(QUERY_PATTERN, "path of a URL"),
]


class Health(Model):
    """The active check of every instance."""

    path: CheckPath | None = Field(
        default=None,
        description="What to request with GET; without it, that the port accepts a TCP connection "
        "(right for gRPC, whose servers answer no GET).",
    )
    interval: PositiveDuration = Field(default=1.0, description="From one check to the next.")
    timeout: PositiveDuration = Field(default=1.0, description="How long an answer may take.")
    rise: int = Field(default=1, ge=1, le=100, description="Successes in a row that bring an instance back.")
    fall: int = Field(default=3, ge=1, le=100, description="Failures in a row that take it out.")
    start_within: PositiveDuration = Field(
        default=60.0, description="How long a new instance may take to answer before it is started again."
    )
    expect: Statuses = Field(
        default=((200, 399),), description="The statuses that mean healthy; ranges include both ends."
    )


class Eject(Model):
    """The passive check: an instance that fails live traffic is out for a while, twice as long each time."""

    after: ErrorCount = Field(default=5, description="Errors in a row that eject an instance.")
    at_most: Share = Field(default=0.5, description="The share of instances that may be out at once; 0% ejects none.")
    on: tuple[Literal["connection", "5xx"], ...] = Field(
        default=("connection",), min_length=1, description="What counts as an error."
    )
    for_: PositiveDuration = Field(default=10.0, alias="for", description="How long the first ejection lasts.")


class Wait(Model):
    """What happens to requests that find every instance busy, or none there."""

    for_: Duration = Field(
        default=10.0,
        alias="for",
        description="How long a request waits at the edge before it gets 503 with Retry-After.",
    )
    at_most: int = Field(default=1000, ge=0, le=1_000_000, description="Requests that may wait at once.")
