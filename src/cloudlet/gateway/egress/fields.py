"""Header fields as they came: names and values in order, in bytes."""

from __future__ import annotations

from typing import TypeAlias

Fields: TypeAlias = list[tuple[bytes, bytes]]


def tokens(fields: Fields, name: bytes) -> list[bytes]:
    """The comma-separated words of every field of this (lower-case) name, in lower case."""
    lines = (value.lower().split(b",") for key, value in fields if key.lower() == name)
    return [word.strip() for line in lines for word in line]


def first(fields: Fields, name: bytes) -> bytes:
    """The value of the first field of this (lower-case) name, empty without one."""
    return next((value for key, value in fields if key.lower() == name), b"")
