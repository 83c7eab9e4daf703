"""Parameters of an operation: read from the text of a path, a query, a header or a cookie, and checked by their schema.

Text has no types: what a schema calls integer, number, boolean or null is read as that, anything else stays text. The
type is the one that the schema names, itself or by `$ref`; without any, text and JSON are both tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cloudlet.stack.documents.reading import Unusable
from cloudlet.stack.documents.references import Place
from cloudlet.stack.documents.schema import Schema

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,99})?(?:[eE][+-]?[0-9]{1,2})?")
_WORDS = {"true": True, "false": False, "null": None}
_STYLES = {"path": "simple", "header": "simple", "query": "form", "cookie": "form"}
_ANY = frozenset({"string", "integer", "number", "boolean", "null"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """`explode` lists come as repeated names in a query; else they are joined by commas."""

    name: str
    where: str
    required: bool
    schema: Schema
    types: frozenset[str]
    items: frozenset[str]
    explode: bool

    @classmethod
    def read(cls, place: Place) -> Parameter:
        said = place.value
        name, where = str(said.get("name", "")), str(said.get("in", ""))
        if not name or where not in _STYLES:
            raise Unusable(f'parameter "{name}" is in "{where}"', "name it, and say path, query, header or cookie")
        style = said.get("style", _STYLES[where])
        if style != _STYLES[where] or said.get("content") or said.get("schema") is None:
            reason = f"style {style}" if style != _STYLES[where] else "no schema"
            fix = f"write style {_STYLES[where]} and a schema, or leave the parameter out"
            raise Unusable(f'parameter "{name}" has {reason}, which is not checked here', fix)
        schema = place.at("schema")
        types, items = _types(schema), frozenset({"string"})
        if "object" in types:
            raise Unusable(f'parameter "{name}" is an object, which is not checked here', "split it")
        if "array" in types:
            listed = _typed(schema)
            inner = listed.get("items") if isinstance(listed.value, dict) else None
            items = _types(inner) if inner else _ANY
        required = where == "path" or said.get("required") is True
        explode = bool(said.get("explode", where in ("query", "cookie")))
        return cls(name, where, required, schema.schema(), types, items, explode)

    def mismatch(self, texts: list[str]) -> str | None:
        """What is wrong with the values given, in the order of the request; none is a missing parameter."""
        if not texts:
            return "is required" if self.required else None
        found = None
        for value in self._values(texts):
            wrong = next(self.schema.mismatches(value), None)
            if wrong is None:
                return None
            found = found or wrong.detail
        return found or "stands there more than once"

    def _values(self, texts: list[str]) -> Iterator[Any]:
        if "array" in self.types:
            listed = texts if self.explode and self.where == "query" else ",".join(texts).split(",")
            yield [next(_readings(text, self.items)) for text in listed]
        if len(texts) == 1 and self.types != {"array"}:
            yield from _readings(texts[0], self.types)


def _readings(text: str, types: frozenset[str]) -> Iterator[Any]:
    if "integer" in types and _INTEGER.fullmatch(text):
        yield int(text)
    elif "number" in types and _NUMBER.fullmatch(text):
        yield float(text)
    if text in _WORDS and ("null" if text == "null" else "boolean") in types:
        yield _WORDS[text]
    yield text


def _types(schema: Place) -> frozenset[str]:
    found = _typed(schema)
    said = found.value.get("type") if isinstance(found.value, dict) else None
    if said is None:
        return _ANY
    return frozenset([said] if isinstance(said, str) else said)


def _typed(schema: Place) -> Place:
    """The schema that a chain of `$ref` ends in."""
    place = schema
    while isinstance(place.value, dict) and "$ref" in place.value and "type" not in place.value:
        place = place.followed()
    return place
