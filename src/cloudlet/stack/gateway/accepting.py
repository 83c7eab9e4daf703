"""What is in a request: size, headers, content types, schema, and patterns of attacks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cloudlet.stack import units
from cloudlet.stack.fields import FilePath, HeaderName, Model, Text, parsed, text, written

ByteCount = Annotated[
    int,
    parsed(units.parse_size),
    AfterValidator(int),
    written(units.format_size),
    text(units.SIZE_PATTERN, "size"),
]


class Accept(Model):
    """What a request may be; anything else is refused before a service sees it."""

    body: ByteCount | None = Field(default=None, description="The largest body; larger gets 413.")
    headers: tuple[HeaderName, ...] = Field(default=(), description="Headers it must have, else 400.")
    content_types: tuple[Text, ...] = Field(default=(), description="What a body may be, else 415.")
    json_schema: FilePath | None = Field(default=None, description="A JSON Schema for the body, else 422.")
    openapi: FilePath | None = Field(
        default=None, description="An OpenAPI 3.1 document: path, parameters and body must fit it, else 422 or 400."
    )


class Protect(Model):
    """Rules against common attacks. Log first, read what would have been refused, then block."""

    injections: Literal["off", "log", "block"] = Field(default="off", description="Patterns of injections.")
    body: bool = Field(default=False, description="Looks into bodies too, up to 16 kB.")
    except_rules: tuple[Text, ...] = Field(default=(), description="Rules that do not count here, by their name.")
