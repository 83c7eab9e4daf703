"""Which method a request calls, and with what message: by google.api.http, by the method's name, or by the route. Pure.

annotated   the rule's verb and path; its path, query and body fill the message (google/api/http.proto)
named       `POST PREFIX/Method` for methods without a rule; the body is the message
the route's `method`: its path's parameters and the query fill fields of the body
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from cloudlet.gateway.grpc.messages import Unfit, made, parsed, put
from cloudlet.gateway.grpc.schema import Method, Schema, SchemaError
from cloudlet.gateway.grpc.template import Template, TemplateError, of_annotation, of_route
from cloudlet.stack.gateway import Route

_VERBS = ("get", "put", "post", "delete", "patch")
_MOST_PARAMETERS = 100
_WHOLE = "*"


@dataclass(frozen=True, slots=True)
class Binding:
    """`verb` empty is any. `body` is `*`, a field, or empty for none; `open` is whether the query fills fields beside
    a whole body too, `answer` the field that is the answer (empty: all of it)."""

    method: Method
    verb: str
    template: Template
    body: str = _WHOLE
    answer: str = ""
    open: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """What one request fills: path fields and query; the messages come from the body."""

    binding: Binding
    fields: Mapping[str, str]

    def message(self, body: Any, query: str, pool: Any) -> Any:
        """`body` is the JSON value, None where there is none. Raises Unfit."""
        binding = self.binding
        kind = binding.method.request
        value = self._value(body)
        if not isinstance(value, dict):
            if self.fields or query:
                raise Unfit("the body is no object that path and query could fill")
            return made(kind, value, pool)
        for name, texts in _query(query).items():
            if binding.body == _WHOLE and not binding.open:
                raise Unfit(f"{name}: this method takes no query, its body is the whole message")
            put(value, kind.DESCRIPTOR, name, texts)
        for name, text in self.fields.items():
            put(value, kind.DESCRIPTOR, name, [text])
        return made(kind, value, pool)

    def _value(self, body: Any) -> Any:
        if self.binding.body == _WHOLE:
            return {} if body is None else body
        if not self.binding.body:
            if body is not None:
                raise Unfit("this method takes no body")
            return {}
        return {} if body is None else {self.binding.body: body}


def _query(query: str) -> dict[str, list[str]]:
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise Unfit("the query cannot be read, or has too many parameters") from error


def bindings(schema: Schema, route: Route) -> tuple[Binding, ...]:
    """In the order in which they are tried. Raises SchemaError."""
    assert route.grpc is not None, "only gRPC routes have bindings"
    try:
        if route.grpc.method is not None:
            return (Binding(schema.method(route.grpc.method), "", of_route(route.path), open=True),)
        annotated = [_annotated(method, rule) for method in schema.methods.values() for rule in method.rules]
        prefix = route.path.removesuffix("*").rstrip("/")
        named = [
            Binding(method, "POST", of_annotation(f"{prefix}/{method.name}"))
            for method in schema.methods.values()
            if not method.rules
        ]
    except TemplateError as error:
        raise SchemaError(f"a path of {schema.service} cannot be read: {error}") from error
    return (*(found for found in annotated if found is not None), *named)


def _annotated(method: Method, rule: Any) -> Binding | None:
    for verb in _VERBS:
        path = getattr(rule, verb)
        if path:
            return Binding(method, verb.upper(), of_annotation(path), rule.body, rule.response_body)
    if rule.custom.path:
        verb = "" if rule.custom.kind == "*" else rule.custom.kind.upper()
        return Binding(method, verb, of_annotation(rule.custom.path), rule.body, rule.response_body)
    return None


def bound(found: Sequence[Binding], verb: str, path: str) -> Bound | frozenset[str]:
    """The first that fits; else the verbs by which the path is there, none for a path that is not."""
    verbs: set[str] = set()
    for binding in found:
        fields = binding.template.match(path)
        if fields is None:
            continue
        if binding.verb in ("", verb) or (verb == "HEAD" and binding.verb == "GET"):
            return Bound(binding, fields)
        verbs.add(binding.verb)
    return frozenset(verbs)


def body_value(content: bytes) -> Any:
    """The JSON value of a body, None of an empty one. Raises Unfit."""
    return parsed(content) if content.strip() else None
