"""What is answered when the service is not there, too slow, or answers 5xx: another service, the last good answer, a
written one; in this order, of what the file gives.

Another service and the last good answer are for requests that may be sent twice; the written one is for all, and is
given as it is written, past the changes of bodies and views. Each says what it is: `X-Fallback: service|cached|static`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from cloudlet.errors import OperatorError
from cloudlet.gateway.headers import Headers
from cloudlet.gateway.last_answers import LARGEST, LastAnswers
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import IDEMPOTENT, Body, Handler, Request, Step
from cloudlet.gateway.response import Response
from cloudlet.gateway.upstream import Upstream
from cloudlet.stack.gateway.resilience import Fallback
from cloudlet.stack.gateway.targets import Static

FALLBACK = "x-fallback"
#: RFC 7234, 5.5.2; obsolete since RFC 9111, but what clients know
_STALE = '111 - "Revalidation Failed"'


def step(upstream: Upstream, design: Fallback, timeout: float | None, clock: Callable[[], float] = time.time) -> Step:
    """Another service and the last good answer."""
    last = LastAnswers(design.cached) if design.cached is not None else None

    def wrap(then: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            if request.method not in IDEMPOTENT:
                return await then(request)
            attempt = await _repeatable(request) if design.service else None
            response = await answer_or_failure(then, request)
            if response.status < 500:
                return await _remember(last, request, response, clock) if last is not None else response
            if design.service and attempt is not None:
                other = await answer_or_failure(
                    lambda again: upstream.ask(design.service or "", again, timeout), attempt
                )
                if other.status < 500:
                    response.close()
                    return _marked(other, "service")
                other.close()
            kept = last.find(request, clock()) if last is not None else None
            if kept is None:
                return response
            response.close()
            return _aged(*kept)

        return handle

    return wrap


def static_step(static: Static) -> Step:
    """The written answer, around everything that changes answers. Raises OperatorError for a file that is not there."""
    body = _body(static)

    def wrap(then: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            response = await answer_or_failure(then, request)
            if response.status < 500:
                return response
            response.close()
            headers = Headers([("content-type", static.content_type), ("cache-control", "no-store")])
            for name, value in static.headers.items():
                headers.set(name.lower(), value)
            return _marked(Response(static.status, headers, body), "static")

        return handle

    return wrap


async def answer_or_failure(handler: Handler, request: Request) -> Response:
    """A service's failure as the answer that the client would get; other refusals go on as they are."""
    try:
        return await handler(request)
    except Refusal as refusal:
        if refusal.status < 500 or refusal.reason:
            raise
        return refusal.response()


async def _repeatable(request: Request) -> Request:
    """The request once more, as it is before anything behind changes it."""
    content = await request.body.read()
    return Request(
        request.method, request.path, request.query, request.headers.copy(), Body(content=content), request.label
    )


async def _remember(last: LastAnswers, request: Request, response: Response, clock: Callable[[], float]) -> Response:
    """Only answers of 200 to GET and HEAD, and only whole ones of a known, small size: streams go on as they come."""
    length = response.headers.get("content-length", "0" if response.stream is None else "")
    small = length.isdigit() and int(length) <= LARGEST
    if response.status == 200 and request.method in ("GET", "HEAD") and small and "range" not in request.headers:
        await response.read()
        last.keep(request, response, clock())
    return response


def _aged(response: Response, age: int) -> Response:
    response.headers.set("age", str(age))
    response.headers.set("warning", _STALE)
    return _marked(response, "cached")


def _marked(response: Response, kind: str) -> Response:
    response.headers.set(FALLBACK, kind)
    response.substitute = True
    return response


def _body(static: Static) -> bytes:
    if static.file is None:
        return (static.body or "").encode()
    try:
        return Path(static.file).read_bytes()
    except OSError as error:
        raise OperatorError(f"cannot read {static.file}: {error.strerror}") from error
