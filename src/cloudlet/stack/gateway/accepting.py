"""What is in a request: size, headers, content types, schema, and patterns of attacks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from cloudlet.stack import units
from cloudlet.stack.fields import FilePath, HeaderName, Model, matching, parsed, text, written
from cloudlet.stack.findings import Fault, suggestion

ByteCount = Annotated[
    int,
    parsed(units.parse_size),
    AfterValidator(int),
    written(units.format_size),
    text(units.SIZE_PATTERN, "size"),
]
_TYPE = r"^[A-Za-z0-9!#$&^_.+-]{1,60}/(?:[A-Za-z0-9!#$&^_.+-]{1,60}|\*)$"
MediaType = Annotated[
    str,
    matching(_TYPE, "a content type", "write application/json or image/*, without parameters"),
    text(_TYPE, "content type"),
]


#: the rules against injections, as edge/protect_rules.toml has them
INJECTION_RULES = (
    "sqli-union",
    "sqli-tautology",
    "sqli-number",
    "sqli-truth",
    "sqli-comment",
    "sqli-stacked",
    "sqli-time",
    "sqli-function",
    "xss-tag",
    "xss-handler",
    "xss-scheme",
    "xss-break",
    "path-traversal",
    "path-value",
    "path-file",
    "path-wrapper",
    "command",
    "command-backtick",
    "shellshock",
    "log4shell",
    "template",
    "nosql",
    "header-injection",
    "ldap",
    "xxe",
    "code",
    "metadata",
    "undecodable",
    "repeated-header",
)


def _rule(value: str) -> str:
    if value not in INJECTION_RULES:
        fix = suggestion(value, INJECTION_RULES, "there are")
        raise Fault(f'"{value}" is no rule against injections', fix)
    return value


InjectionRule = Annotated[
    str, AfterValidator(_rule), WithJsonSchema({"type": "string", "enum": list(INJECTION_RULES), "title": "rule"})
]


class Accept(Model):
    """What a request may be; anything else is refused before a service sees it."""

    body: ByteCount | None = Field(
        default=None, description="The largest body; larger gets 413, and one that does not tell its length 411."
    )
    headers: tuple[HeaderName, ...] = Field(default=(), description="Headers it must have, else 400.")
    content_types: tuple[MediaType, ...] = Field(
        default=(), description="What a body may be, else 415: `application/json`, `image/*`; parameters don't count."
    )
    json_schema: FilePath | None = Field(default=None, description="A JSON Schema for the body, else 422.")
    openapi: FilePath | None = Field(
        default=None, description="An OpenAPI 3.1 document: path, parameters and body must fit it, else 422 or 400."
    )


class Protect(Model):
    """Rules against common attacks. Log first, read what would have been refused, then block."""

    injections: Literal["off", "log", "block"] = Field(
        default="off", description="Patterns of injections: `log` marks requests, `block` answers 403."
    )
    body: bool = Field(default=False, description="Looks into bodies too, their first 15 kB.")
    except_rules: tuple[InjectionRule, ...] = Field(
        default=(), description="Rules that do not count here, by their name (docs/guides/protection.md)."
    )

    @model_validator(mode="after")
    def _something(self) -> Protect:
        if self.injections == "off" and (self.body or self.except_rules):
            raise Fault("says how to look, but looks for nothing", "set `injections: log`, or `block`")
        return self
