"""What the models share: the base class and the kinds of value, each with its check and its JSON Schema.

In the file every scalar is text (see nodes), so a duration without a unit is refused; from Python a duration
is seconds, a size bytes, a share 0 to 1.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from cloudlet.stack import units
from cloudlet.stack.findings import Fault
from cloudlet.stack.nodes import Bare

T = TypeVar("T")

#: the longest timer HAProxy has is 2^31 ms
LONGEST_DURATION = 24 * 86400.0
#: leaves room for what is added to a name within the 63 bytes of a label, a role or a database
LONGEST_NAME = 40
NAME_PATTERN = rf"^[a-z](?:[a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?$"
HOST_PATTERN = r"^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$"
#: the characters of a path by RFC 3986, without what a pattern or a configuration could take for its own
PATH_PATTERN = r"^/(?:[A-Za-z0-9._~!&()+,;=:@/-]|%[0-9A-Fa-f]{2})*$"
QUERY_PATTERN = PATH_PATTERN.replace("@/-]", "@/?-]")
#: a token of RFC 9110, without quotes
WORD_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"


class Model(BaseModel):
    """A part of the design: unknown keys refused, never changed once built."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True, eq=False)
class Shorthand:
    """A second way to write a part: `expand` turns it into the full one, and leaves everything else alone."""

    expand: Callable[[Any], Any]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [dict(self.schema), handler(schema)]}


def parsed(parse: Callable[[str], T]) -> BeforeValidator:
    def check(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except units.UnitError as error:
            raise Fault(str(error), error.fix) from error

    return BeforeValidator(check)


def written(form: Callable[[Any], str]) -> PlainSerializer:
    return PlainSerializer(form, return_type=str, when_used="json")


def matching(pattern: str, kind: str, fix: str) -> AfterValidator:
    """Refuses text of another form."""
    expression = re.compile(pattern)

    def check(value: str) -> str:
        if not expression.search(value) or value.endswith("\n"):
            raise Fault(f'"{value}" is not {kind}', fix)
        return value

    return AfterValidator(check)


def text(pattern: str, title: str) -> WithJsonSchema:
    """The JSON Schema of text of this form; `title` is the kind as the reference shows it."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "title": title})


def _seconds(value: float) -> float:
    if not 0 <= value <= LONGEST_DURATION:
        longest = units.format_duration(LONGEST_DURATION)
        raise Fault(f"more than {longest}, the longest timer there is", f"write at most {longest}")
    return value


def _positive(value: float) -> float:
    if value < 0.01:
        shown = units.format_duration(max(value, 0))
        raise Fault(f"{shown} is too short here", "write 10ms or more")
    return value


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,999})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")


def _json(value: Any) -> Any:
    """What is written without quotes is a number, `true`, `false` or `null` where it looks like one, as in YAML."""
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if not isinstance(value, Bare):
        return value
    if value in ("true", "false"):
        return value == "true"
    number = _NUMBER.fullmatch(value)
    if number is None:
        return str(value)
    if not (number[1] or number[2]):
        return int(value)
    return float(value) if math.isfinite(float(value)) else str(value)


def _absolute(value: Path, info: ValidationInfo) -> Path:
    base = info.context["directory"] if info.context else Path.cwd()
    return Path(base, value)


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise Fault(
            f'"{value}" is no IP address', "write 127.0.0.1 for this machine only, 0.0.0.0 for every network"
        ) from error


def _share_of_all(value: float) -> float:
    if not 0 <= value <= 1:
        raise Fault(f"{units.format_share(abs(value))} is more than all", "write 0% to 100%")
    return value


def _sized(value: int) -> int:
    if value < units.SIZES["MB"]:
        raise Fault(f"{units.format_size(abs(value))} is too little to run in", "write 1MB or more")
    return value


Duration = Annotated[
    float,
    parsed(units.parse_duration),
    AfterValidator(_seconds),
    written(units.format_duration),
    text(units.DURATION_PATTERN, "duration"),
]
PositiveDuration = Annotated[Duration, AfterValidator(_positive), text(units.DURATION_PATTERN, "duration")]
Size = Annotated[
    int,
    parsed(units.parse_size),
    AfterValidator(_sized),
    written(units.format_size),
    text(units.SIZE_PATTERN, "size"),
]
#: any share; may exceed 100%
Ratio = Annotated[
    float,
    parsed(units.parse_share),
    written(units.format_share),
    text(units.SHARE_PATTERN, "share"),
]
Share = Annotated[Ratio, AfterValidator(_share_of_all), text(units.SHARE_PATTERN, "share")]
ErrorCount = Annotated[
    int,
    parsed(units.parse_errors),
    written(units.format_errors),
    text(units.ERRORS_PATTERN, "count of errors"),
]
Name = Annotated[
    str,
    matching(
        NAME_PATTERN,
        "a name",
        f"use lower-case letters, digits and `-`, a letter first, at most {LONGEST_NAME} characters",
    ),
    text(NAME_PATTERN, "name"),
]
Host = Annotated[
    str,
    AfterValidator(str.lower),
    matching(HOST_PATTERN, "a host name", "write a name such as api.shop.localhost, without scheme or port"),
    text(HOST_PATTERN.replace("a-z", "A-Za-z"), "host name"),
]
Address = Annotated[str, AfterValidator(_address), WithJsonSchema({"type": "string", "title": "IP address"})]
#: 0 takes any free port
Port = Annotated[int, Field(ge=0, le=65535)]
FilePath = Annotated[Path, AfterValidator(_absolute), WithJsonSchema({"type": "string", "title": "path"})]
#: a scalar that is kept as written
Text = Annotated[str, WithJsonSchema({"type": ["string", "number", "boolean"], "title": "text"})]
#: any JSON value; text that looks like a number is written in quotes
JsonValue = Annotated[Any, BeforeValidator(_json)]
Rate = Annotated[
    units.Rate,
    parsed(units.parse_rate),
    written(units.format_rate),
    text(units.RATE_PATTERN, "rate"),
]
#: a token of RFC 9110, 5.6.2, as header names are
HeaderName = Annotated[
    str,
    matching(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$", "a header's name", "write it as in HTTP, e.g. X-Tenant"),
    text(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$", "header name"),
]
#: what a header may hold: visible text, no line ends
HeaderValue = Annotated[
    Text,
    matching(r"^[\t\x20-\x7e\x80-\U0010ffff]{0,4000}$", "a header's value", "write it on one line"),
]
