"""The parameters of a route's path, and paths of services made from them.

A value goes into another path as one segment, whatever it holds: it is encoded whole, and one that could mean more than
a segment to somebody behind us (`/`, `\\`, `..`, a control character, in any encoding of it) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Request
from cloudlet.stack.gateway.placeholders import pieces

_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]|%(?:2f|5c|00|2e)", re.IGNORECASE)
_MOST_FIELDS = 1000


def reader(template: str) -> Callable[[Request], dict[str, str]]:
    """Reads the parameters of a path that the edge found to fit the template. Raises Refusal."""
    wanted = [part[1:-1] if part.startswith("{") else "" for part in template.split("/")[1:]]

    def read(request: Request) -> dict[str, str]:
        given = re.sub("/+", "/", request.path).split("/")[1:]
        if len(given) < len(wanted):
            raise Refusal(404, "the path does not fit its route", reason="no-route")
        return {name: _value(name, text) for name, text in zip(wanted, given, strict=False) if name}

    return read


def _value(name: str, text: str) -> str:
    try:
        value = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise Refusal(400, f"the path's parameter {name} is not UTF-8", reason="malformed") from None
    if value in ("", ".", "..") or _UNSAFE.search(value):
        raise Refusal(400, f"the path's parameter {name} could mean another path", reason="malformed")
    return value


def path_maker(template: str) -> Callable[[Request, Mapping[str, str]], tuple[str, str]]:
    """Makes (path, query) of `/orders/{id}?{query}`: `{query}` is the client's, `{query:NAME}` one parameter of it."""
    parts = pieces(template)

    def make(request: Request, values: Mapping[str, str]) -> tuple[str, str]:
        text = "".join(_filled(piece, request, values) if filled else piece for filled, piece in parts)
        path, _, query = text.partition("?")
        return path, query

    return make


def _filled(name: str, request: Request, values: Mapping[str, str]) -> str:
    kind, _, key = name.partition(":")
    if kind == "query":
        return quote(query_value(request, key), safe="") if key else request.query
    return quote(values[key or kind], safe="")


def query_value(request: Request, name: str) -> str:
    """The first value of a query parameter; empty where there is none."""
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refusal(400, "the query cannot be read", reason="malformed") from None
    return next((value for key, value in pairs if key == name), "")
