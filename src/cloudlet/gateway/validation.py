"""What a request must look like: its JSON body by a schema, or all of it by an OpenAPI document.

400 for what cannot be read (with the place), 415 for a content type that could hide the body from the check, 422 for
what does not fit, with every place up to a bound (RFC 9457; pointers by RFC 6901 as URI fragments).
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from cloudlet.errors import OperatorError
from cloudlet.gateway import json_text
from cloudlet.gateway.json_text import NotJson, is_json, pointer
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Handler, Request, Step
from cloudlet.gateway.response import Response
from cloudlet.stack.documents.reading import Unusable
from cloudlet.stack.documents.schema import Schema

#: places named in one answer
MOST_ERRORS = 20
SCHEMA = "schema"
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})


def load(path: Path) -> Step:
    """Raises OperatorError for a schema that cannot be used."""
    try:
        return step(Schema.load(path))
    except Unusable as error:
        raise OperatorError(f"{path}: {error}") from error


def step(schema: Schema) -> Step:
    """Every body is checked, and a method that brings one must."""

    def wrap(then: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            if request.body.streamed or request.method not in _BODILESS:
                refuse(body_errors(schema, await read_json(request)))
            return await then(request)

        return handle

    return wrap


async def read_json(request: Request) -> Any:
    """The body, parsed strictly. Raises Refusal."""
    if not is_json(request.headers.get("content-type")):
        raise Refusal(415, "the body must be application/json", reason="content-type")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "an encoded body cannot be checked; send it as it is", reason="content-encoding")
    try:
        return json_text.parse_strict(await request.body.read())
    except NotJson as error:
        place: dict[str, Any] = {}
        if error.line:
            place = {"position": error.position, "line": error.line, "column": error.column}
        raise Refusal(400, f"the body is not JSON: {error.detail}", reason="malformed", **place) from None


def body_errors(schema: Schema, value: Any) -> list[dict[str, str]]:
    found = islice(schema.mismatches(value), MOST_ERRORS)
    return [{"pointer": pointer(list(wrong.path)), "detail": wrong.detail} for wrong in found]


def refuse(errors: list[dict[str, str]]) -> None:
    """Raises Refusal (422) where there are errors."""
    if errors:
        raise Refusal(422, "the request does not fit what the route takes", reason=SCHEMA, errors=errors[:MOST_ERRORS])
