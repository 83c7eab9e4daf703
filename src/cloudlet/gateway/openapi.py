"""Requests checked by an OpenAPI document: 404 and 405 for what it does not describe, 400 for a missing or repeated
parameter it cannot take, 415 for another content type, 422 for values that do not fit."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qsl

from cloudlet.errors import OperatorError
from cloudlet.gateway.json_text import is_json
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Handler, Request, Step
from cloudlet.gateway.response import Response
from cloudlet.gateway.validation import body_errors, read_json, refuse
from cloudlet.stack.documents.openapi import Content, OpenApi, Operation, PathItem
from cloudlet.stack.documents.reading import Unusable

_MOST_FIELDS = 1000


def load(path: Path) -> Step:
    """Raises OperatorError for a document that cannot be used."""
    try:
        return step(OpenApi(path))
    except Unusable as error:
        raise OperatorError(f"{path}: {error}") from error


def step(document: OpenApi) -> Step:
    def wrap(then: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            operation, values = _operation(document, request)
            refuse(_parameter_errors(operation, request, values))
            await _check_body(operation, request)
            return await then(request)

        return handle

    return wrap


def _operation(document: OpenApi, request: Request) -> tuple[Operation, dict[str, str]]:
    found = document.find(request.path)
    if found is None:
        raise Refusal(404, "the API describes no such path", reason="no-operation")
    item, values = found
    method = "GET" if request.method == "HEAD" and "HEAD" not in item.operations else request.method
    operation = item.operations.get(method)
    if operation is None:
        raise _not_allowed(item)
    return operation, values


def _not_allowed(item: PathItem) -> Refusal:
    allow = {"allow": ", ".join(sorted(item.operations))}
    return Refusal(
        405, f"the API does not describe this method of {item.template}", reason="no-operation", headers=allow
    )


def _parameter_errors(operation: Operation, request: Request, values: dict[str, str]) -> list[dict[str, str]]:
    query = _query(request) if any(item.where == "query" for item in operation.parameters) else {}
    cookies = _cookies(request) if any(item.where == "cookie" for item in operation.parameters) else {}
    errors = []
    for item in operation.parameters:
        if item.where == "path":
            texts = [values[item.name]]
        elif item.where == "header":
            texts = request.headers.all(item.name.lower())
        else:
            texts = (query if item.where == "query" else cookies).get(item.name, [])
        wrong = item.mismatch(texts)
        if wrong is not None:
            errors.append({"parameter": item.name, "in": item.where, "detail": wrong})
    return errors


def _query(request: Request) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise Refusal(400, "the query cannot be read", reason="malformed") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _cookies(request: Request) -> dict[str, list[str]]:
    try:
        return {name: [morsel.value] for name, morsel in SimpleCookie(request.headers.get("cookie")).items()}
    except CookieError:
        return {}


async def _check_body(operation: Operation, request: Request) -> None:
    if not request.body.streamed:
        if operation.body_required:
            raise Refusal(400, "the body is required", reason="malformed")
        return
    content = _content(operation, request)
    if content.schema is not None and is_json(request.headers.get("content-type")):
        refuse(body_errors(content.schema, await read_json(request)))


def _content(operation: Operation, request: Request) -> Content:
    given = request.headers.get("content-type").partition(";")[0].strip().lower()
    for content in operation.contents:
        if content.takes(given):
            return content
    taken = ", ".join(content.media_type for content in operation.contents) or "no body"
    raise Refusal(415, f"the API takes {taken} here, not {given or 'a body without a type'}", reason="content-type")
