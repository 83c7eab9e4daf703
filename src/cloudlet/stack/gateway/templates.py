"""Words in braces that are filled in: `{path}`, `{user}`, the path's parameters. Other braces are text."""

from __future__ import annotations

import re

#: what headers may hold of a request
WORDS = ("path", "host", "client", "request_id", "user")
_WORD = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")


def words(template: str) -> tuple[str, ...]:
    """The words in it, each once."""
    return tuple(dict.fromkeys(_WORD.findall(template)))


def pieces(template: str) -> list[tuple[str, bool]]:
    """Its parts in order: text, and words (True)."""
    parts = _WORD.split(template)
    return [(part, bool(place % 2)) for place, part in enumerate(parts) if part or place % 2]


def parameters(path: str) -> tuple[str, ...]:
    """The parameters of a route's path, in order."""
    return tuple(step[1:-1] for step in path.split("/") if step.startswith("{") and step.endswith("}"))
