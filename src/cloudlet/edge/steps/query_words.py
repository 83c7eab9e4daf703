"""Parameters of a query as regular expressions over the query as it was sent, where each byte of a name or value may
be percent-encoded or not. So nothing is decoded that could then look like another parameter."""

from __future__ import annotations

import re

_START, _END = "(?:^|&)", "(?:&|$)"
#: what stands for itself in a query, also between what separates parameters
_ENCODED_ONLY = frozenset(b"&+#")


def word(text: str, *, is_name: bool = False) -> str:
    """All the ways to write it. In a name `=` is always encoded, or the value would begin there."""
    return "".join(_byte(byte, is_name=is_name) for byte in text.encode(errors="surrogateescape"))


def occurs(name: str, value: str | None = None) -> str:
    """The parameter is there, with that value."""
    found = f"(?s){_START}{word(name, is_name=True)}"
    if value is None:
        return f"{found}(?:=|{_END})"
    return f"{found}={word(value)}{_END}" if value else f"{found}=?{_END}"


def occurs_twice(name: str) -> str:
    one = word(name, is_name=True)
    return f"(?s){_START}{one}(?:=[^&]*)?&(?:.*&)?{one}(?:=|{_END})"


def parameter(name: str) -> str:
    """The parameter with its value and the `&` before it, to be taken out."""
    return f"(?:^|&){word(name, is_name=True)}(?:=[^&]*)?(?=&|$)"


def _byte(byte: int, *, is_name: bool) -> str:
    encoded = "".join(f"[{digit}{digit.lower()}]" if digit.isalpha() else digit for digit in f"%{byte:02X}")
    if byte == ord(" "):
        return f"(?:{encoded}|[+])"
    if byte == ord("%"):
        return f"(?:{encoded}|%(?![0-9A-Fa-f]{{2}}))"
    if byte in _ENCODED_ONLY or (is_name and byte == ord("=")):
        return encoded
    shown = re.escape(chr(byte)) if byte < 0x80 else f"\\x{byte:02x}"
    return f"(?:{shown}|{encoded})"
