"""What is filled into texts of the file: `{order.total}`, `{path:id}`, `{query}`. `{{` and `}}` are braces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+|[{}]")
_PARAMETER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def pieces(text: str) -> list[tuple[bool, str]]:
    """The text in pieces: (True, name) is to be filled in, (False, text) stays. A lone brace is text."""
    found = []
    for piece in _PIECE.finditer(text):
        if piece[1] is not None:
            found.append((True, piece[1].strip()))
        else:
            found.append((False, {"{{": "{", "}}": "}"}.get(piece[0], piece[0])))
    return found


def names(template: Any) -> Iterator[str]:
    """Everything that is to be filled into a template, wherever in it."""
    if isinstance(template, str):
        yield from (name for filled, name in pieces(template) if filled)
    elif isinstance(template, dict):
        for value in template.values():
            yield from names(value)
    elif isinstance(template, (list, tuple)):
        for value in template:
            yield from names(value)


def parameters(path: str) -> tuple[str, ...]:
    """The parameters of a route's path, in order."""
    return tuple(_PARAMETER.findall(path))
