"""Fields of a client's JSON: of the right type and within bounds, or an answer that says which is not."""

from __future__ import annotations

import re
from typing import Any

from shared.app import HTTPError


def text(body: dict[str, Any], name: str, pattern: str, meaning: str) -> str:
    """A string that matches the whole of `pattern`; `meaning` tells the client what is allowed."""
    value = body.get(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise HTTPError(422, f"{name} must be {meaning}")
    return value


def integer(body: dict[str, Any], name: str, least: int, most: int) -> int:
    """A whole number within the bounds, which are part of the range."""
    value = body.get(name)
    if type(value) is not int or not least <= value <= most:  # a bool is an int to isinstance
        raise HTTPError(422, f"{name} must be a whole number from {least} to {most}")
    return value
