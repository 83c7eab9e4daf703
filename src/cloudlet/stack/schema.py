"""The JSON Schema of the file, for editors: what YAML gives them, so numbers where people write numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cloudlet.stack.nodes import Path
from cloudlet.stack.stack import Stack

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """A new copy of the schema."""
    schema = Stack.model_json_schema(mode="validation", by_alias=True)
    for model in models():
        part = schema if model is Stack else schema["$defs"].get(model.__name__)
        if part is not None:
            _tidy(model, part)
    return {
        "$schema": DIALECT,
        **schema,
        "title": "cloudlet.yaml",
    }


def models() -> list[type[BaseModel]]:
    """Every model of the file, the whole first, then as they occur."""
    found: dict[type[BaseModel], None] = {}
    _collect(Stack, found)
    return list(found)


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `dict[str, Service]` or `Sticky | None`."""
    return next((part for part in _parts(annotation) if issubclass(part, BaseModel)), None)


def default_of(model: type[BaseModel], name: str, field: FieldInfo) -> Any:
    """The default as the file would write it; None where there is none, or where it is a whole part."""
    default = field.get_default(call_default_factory=False)
    if field.is_required() or isinstance(default, BaseModel):
        return None
    written = model.model_construct(**{name: default}).model_dump(mode="json", include={name}, by_alias=True)
    return written.get(field.alias or name)


def at(path: Path) -> dict[str, Any]:
    """The schema of the part at this path, {} where there is none."""
    schema = _cached()
    part = schema
    for step in path:
        part = _resolve(schema, _descend(_resolve(schema, part), step))
    return _resolve(schema, part)


@cache
def _cached() -> dict[str, Any]:
    return json_schema()


def _resolve(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Follows references, and of alternatives takes the one with the most structure."""
    while True:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rsplit("/", 1)[-1]]
        elif "anyOf" in part:
            options = [_resolve(schema, option) for option in part["anyOf"]]
            return next((option for option in options if option.get("type") in ("object", "array")), {})
        else:
            return part


def _descend(part: dict[str, Any], step: str | int) -> dict[str, Any]:
    if isinstance(step, int):
        items = part.get("items", {})
        return items if isinstance(items, dict) else {}
    if step in part.get("properties", {}):
        found: dict[str, Any] = part["properties"][step]
        return found
    patterns = list(part.get("patternProperties", {}).values())
    further = patterns[0] if patterns else part.get("additionalProperties", {})
    return further if isinstance(further, dict) else {}


def _tidy(model: type[BaseModel], part: dict[str, Any]) -> None:
    """Defaults as the file writes them, no titles that repeat the key, no names but good ones."""
    for name, field in model.model_fields.items():
        described = part["properties"][field.alias or name]
        default = default_of(model, name, field)
        described.pop("default", None)
        if described.get("title") == name.strip("_").replace("_", " ").title():
            del described["title"]  # pydantic's own, which repeats the key
        if "patternProperties" in described:
            described["additionalProperties"] = False
        if default not in (None, "", [], {}):
            described["default"] = default


def _collect(model: type[BaseModel], found: dict[type[BaseModel], None]) -> None:
    if model in found:
        return
    found[model] = None
    for field in model.model_fields.values():
        inner = model_of(field.annotation)
        if inner is not None:
            _collect(inner, found)


def _parts(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _parts(argument)
