"""Pydantic's errors in our words: what is wrong with which value, why, and the fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cloudlet.stack import nodes, planned, schema
from cloudlet.stack.findings import Fault, Finding, dotted, suggestion
from cloudlet.stack.nodes import Path

_LONGEST_SHOWN = 80


def translate(error: ValidationError, tree: nodes.Node) -> list[Finding]:
    """One finding for each of its errors."""
    details = error.errors(include_url=False, include_input=False)
    deeper = {detail["loc"][:-1] for detail in details}
    # a list whose items were refused counts as empty, too
    return [_finding(d, tree) for d in details if not (d["type"] == "too_short" and d["loc"] in deeper)]


def _finding(detail: ErrorDetails, tree: nodes.Node) -> Finding:
    path: Path = detail["loc"]
    is_key = bool(path) and path[-1] == "[key]"
    path = path[:-1] if is_key else path
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return _missing(path)
    if kind == "extra_forbidden":
        return _unknown(path)
    path = path if is_key else nodes.existing(tree, path)
    fault = context.get("error")
    if isinstance(fault, Fault):
        return Finding(path, f"{dotted(path)}: {fault}", fault.fix, key=is_key)
    message, fix = _KINDS.get(kind, _other)(shown(tree, path), {**context, "msg": detail["msg"]})
    return Finding(path, f"{dotted(path)}: {message}", fix, key=is_key)


def shown(tree: nodes.Node, path: Path) -> str:
    """The value as it was written, before anything was filled in: that may be a secret."""
    node = nodes.find(tree, path)
    if isinstance(node, nodes.Mapping):
        return "a mapping"
    if isinstance(node, nodes.Sequence):
        return "a list"
    if node is None or node.text is None:
        return "nothing"
    text = node.written
    return f'"{text}"' if len(text) <= _LONGEST_SHOWN else f'"{text[:_LONGEST_SHOWN]}…"'


def _missing(path: Path) -> Finding:
    parent, key = path[:-1], str(path[-1])
    place = dotted(parent) or "the file"
    meaning = schema.at(parent).get("properties", {}).get(key, {}).get("description", "")
    return Finding(path, f'{place} has no "{key}"', f"add `{key}`: {meaning}", key=True)


def _unknown(path: Path) -> Finding:
    parent, key = path[:-1], str(path[-1])
    place = f" in {dotted(parent)}" if parent else ""
    known = [*schema.at(parent).get("properties", {}), *sorted(planned.known_keys(parent))]
    return Finding(path, f'unknown key "{key}"{place}', suggestion(key, known, "known keys"), key=True)


def _not_a(what: str, fix: str = "") -> Callable[[str, Mapping[str, Any]], tuple[str, str]]:
    def explain(value: str, context: Mapping[str, Any]) -> tuple[str, str]:
        return f"{value} is not {what}", fix

    return explain


def _bound(relation: str, name: str) -> Callable[[str, Mapping[str, Any]], tuple[str, str]]:
    def explain(value: str, context: Mapping[str, Any]) -> tuple[str, str]:
        return f"{value} is not allowed, it must be {relation} {context[name]}", ""

    return explain


def _choice(value: str, context: Mapping[str, Any]) -> tuple[str, str]:
    choices = re.findall("'([^']*)'", context.get("expected", ""))
    return f"{value} is none of the choices", suggestion(value.strip('"'), choices, "choose one of")


def _text(value: str, context: Mapping[str, Any]) -> tuple[str, str]:
    return f"{value} is not text", 'write a value, or "" for empty text'


def _too_short(value: str, context: Mapping[str, Any]) -> tuple[str, str]:
    return f"{value} is empty, at least {context.get('min_length', 1)} is needed", ""


def _other(value: str, context: Mapping[str, Any]) -> tuple[str, str]:
    message = str(context["msg"])
    return f"{value} is refused: {message[:1].lower()}{message[1:]}", ""


_WHOLE = _not_a("a whole number")
_NUMBER = _not_a("a number")
_MAPPING = _not_a(
    "a mapping of keys",
    "write its keys below it, indented, or {} for the usual; leave it out for none",
)
_LIST = _not_a("a list", "write [one, two], or one item a line after `- `")
_KINDS: Mapping[str, Callable[[str, Mapping[str, Any]], tuple[str, str]]] = {
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": _WHOLE,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_type": _text,
    "path_type": _text,
    "too_short": _too_short,
    "literal_error": _choice,
    "enum": _choice,
    "greater_than": _bound("above", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("below", "lt"),
    "less_than_equal": _bound("at most", "le"),
}
