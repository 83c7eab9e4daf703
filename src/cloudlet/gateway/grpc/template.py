"""Templates of paths: google.api.http's (`/v1/{name=shelves/*}:close`) and the file's own (`/orders/{id}`, `/api/*`).

    `*` a segment, `**` the rest, `{field}` a segment, `{field=a/*/b}` several, `:verb` at the end

Values are percent-decoded; of several segments all but `%2F`, so that they can be told apart (google/api/http.proto).
Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_VARIABLE = re.compile(r"\{([A-Za-z_][\w.]*)(?:=([^{}]+))?\}")
_SLASH = re.compile(r"%2f", re.IGNORECASE)


class TemplateError(Exception):
    """A template that is none."""


@dataclass(frozen=True, slots=True)
class Template:
    """`fields` by the number of their group; the second is whether a field holds several segments."""

    pattern: re.Pattern[str]
    fields: tuple[tuple[str, bool], ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The fields' values, or None for another path. `path` is as it was sent, percent-encoded."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values = zip(self.fields, found.groups(), strict=True)
        return {name: _decoded(value, several=several) for (name, several), value in values}


def of_annotation(text: str) -> Template:
    """Raises TemplateError."""
    verb = re.search(r":[^/{}:]+$", text)
    body = text[: verb.start()] if verb else text
    if not body.startswith("/"):
        raise TemplateError(f'"{text}" does not begin with /')
    fields: list[tuple[str, bool]] = []
    pattern, at = "", 0
    for found in _VARIABLE.finditer(body):
        inner = found[2] or "*"
        fields.append((found[1], inner != "*"))
        pattern += _segments(body[at : found.start()], text) + f"({_segments(inner, text)})"
        at = found.end()
    pattern += _segments(body[at:], text)
    return Template(re.compile(pattern + re.escape(verb[0] if verb else "")), tuple(fields))


def of_route(path: str) -> Template:
    """The file's own: `/prefix/*` takes `/prefix` too, and everything below it."""
    if path.endswith("/*"):
        inner = of_annotation(path.removesuffix("/*") or "/")
        prefix = "" if path == "/*" else inner.pattern.pattern
        return Template(re.compile(prefix + "(?:/.*)?"), inner.fields)
    return of_annotation(path)


def _segments(text: str, whole: str) -> str:
    if "{" in text or "}" in text:
        raise TemplateError(f'"{whole}" has a brace too many')
    parts = re.split(r"(\*\*|\*)", text)
    kinds = {"*": "[^/]+", "**": ".*"}
    return "".join(kinds.get(part) or re.escape(part) for part in parts)


def _decoded(value: str, *, several: bool) -> str:
    if several:
        value = _SLASH.sub("%252F", value)
    return unquote(value, errors="replace")
