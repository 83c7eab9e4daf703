"""The rules against injections, from protect_rules.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FILE = "protect_rules.toml"
#: what is decoded in a way that hides it from the patterns: bytes that are no text, escapes without end
UNDECODABLE = "undecodable"
#: a header that clients send once came twice, so that the second could hide the first
REPEATED = "repeated-header"
_PLACEHOLDERS = {"{s}": r"\s{0,9}", "{w}": r"(?:\s|/\*[^*]{0,99}\*/|\+){1,9}"}


@dataclass(frozen=True, slots=True)
class ProtectRule:
    """`places` are `url`, `head` and `body`; `what` is an example, for people."""

    name: str
    what: str
    places: frozenset[str]
    pattern: str


@cache
def protect_rules() -> tuple[ProtectRule, ...]:
    """All of them, in the order in which they are tried."""
    data = tomllib.loads(files("cloudlet.edge").joinpath(FILE).read_text(encoding="utf-8"))
    return tuple(
        ProtectRule(name, rule["what"], frozenset(rule["in"]), _expanded(rule["pattern"]))
        for name, rule in data.items()
    )


def _expanded(pattern: str) -> str:
    for placeholder, meaning in _PLACEHOLDERS.items():
        pattern = pattern.replace(placeholder, meaning)
    return f"(?i){pattern}"
