"""What a route asks of a request beside host, path and method: a header or a query parameter.

A header counts by its whole value, and only when it is there once: `X-Version: 1, 2` and two lines of it are the same
(RFC 9110, 5.3), and neither is `1`. A query parameter counts decoded, name and value, and only when it is there once.
`any` asks only that it is there, however often. What can't be told apart so falls to the more general route.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote_to_bytes

from cloudlet.stack.gateway.matching import ANY


class Where(StrEnum):
    HEADER = "header"
    QUERY = "query"


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """`name` of a header is lower case."""

    where: Where
    name: str
    value: str

    def holds(self, headers: tuple[tuple[str, str], ...], query: str) -> bool:
        found = self._given(headers, query)
        return bool(found) if self.value == ANY else found == [self.value]

    def refusal(self, headers: tuple[tuple[str, str], ...], query: str) -> str:
        """Why it does not hold."""
        found = self._given(headers, query)
        asks = f"asks for the {self.where} {self.name}" + ("" if self.value == ANY else f" to be {self.value}")
        return f"{asks}, and it is {' and '.join(found)}" if found else f"{asks}, and there is none"

    def _given(self, headers: tuple[tuple[str, str], ...], query: str) -> list[str]:
        if self.where is Where.HEADER:
            return [value.strip(" \t") for name, value in headers if name.lower() == self.name]
        pairs = (part.partition("=") for part in query.split("&") if part)
        return [_decoded(value) for name, _, value in pairs if _decoded(name) == self.name]


def conditions(headers: Mapping[str, str], query: Mapping[str, str]) -> tuple[Condition, ...]:
    """In an order of their own, so that equal ones are equal."""
    of_headers = (Condition(Where.HEADER, name.lower(), value) for name, value in headers.items())
    of_query = (Condition(Where.QUERY, name, value) for name, value in query.items())
    return tuple(sorted((*of_headers, *of_query)))


def _decoded(text: str) -> str:
    """As in forms; what is no encoding is taken as it stands."""
    return unquote_to_bytes(text.replace("+", " ").encode(errors="surrogateescape")).decode(errors="surrogateescape")
