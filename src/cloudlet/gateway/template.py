"""The answer of an aggregation, from its template.

    "{order}"                a call's whole value
    "{order.total}"          a field of it
    "{order.items.price}"    that of each item of a list; "{order.items.0}" is one item
    "{path:id}"              a parameter of the path

Within a longer text a value is written as text; what is not there is null, and nothing in a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cloudlet.gateway.json_text import as_text
from cloudlet.stack.gateway.placeholders import pieces

#: the calls' values by name, the path's parameters
Values = Mapping[str, Any]
Fill = Callable[[Values, Mapping[str, str]], Any]


def template(design: Any) -> Fill:
    """What makes the answer from the values."""
    if isinstance(design, dict):
        fields = {key: template(value) for key, value in design.items()}
        return lambda values, path: {key: fill(values, path) for key, fill in fields.items()}
    if isinstance(design, (list, tuple)):
        items = [template(value) for value in design]
        return lambda values, path: [fill(values, path) for fill in items]
    return _text(design) if isinstance(design, str) else lambda values, path: design


def _text(design: str) -> Fill:
    parts = pieces(design)
    if len(parts) == 1 and parts[0][0]:
        name = parts[0][1]
        return lambda values, path: look(name, values, path)

    def fill(values: Values, path: Mapping[str, str]) -> str:
        found = (look(piece, values, path) if filled else piece for filled, piece in parts)
        return "".join("" if value is None else as_text(value) for value in found)

    return fill


def look(name: str, values: Values, path: Mapping[str, str]) -> Any:
    _, colon, key = name.partition(":")
    if colon:
        return path.get(key)
    first, *rest = name.split(".")
    return _inside(values.get(first), rest)


def _inside(value: Any, steps: list[str]) -> Any:
    for number, step in enumerate(steps):
        if isinstance(value, list):
            if not step.isdigit():
                return [_inside(item, steps[number:]) for item in value]
            value = value[int(step)] if len(step) < 9 and int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value
