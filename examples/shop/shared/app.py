"""A small ASGI application: routes, JSON in and out, errors as JSON, and who answered.

Not a framework, because an instance that imports little starts in a third of a second.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

#: bytes; nothing that a customer sends is longer
LARGEST_BODY = 16 * 1024

_SERVED_BY = os.environ.get("CLOUDLET_INSTANCE", "unknown")
_log = logging.getLogger("shop")


class HTTPError(Exception):
    """An answer other than success; `message` is for the client."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


@dataclass(slots=True)
class Response:
    """`body` is sent as it is when bytes, as JSON otherwise."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """One request; header names in lower case, `parameters` from the path."""

    method: str
    path: str
    headers: dict[str, str]
    receive: Callable[[], Awaitable[dict[str, Any]]]
    parameters: dict[str, str] = field(default_factory=dict)

    async def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises HTTPError 413 or 400."""
        try:
            value = json.loads(b"".join([part async for part in self._body()]))
        except (ValueError, RecursionError):
            raise HTTPError(400, "the body is not JSON") from None
        if not isinstance(value, dict):
            raise HTTPError(400, "the body is not a JSON object")
        return value

    async def _body(self) -> AsyncIterator[bytes]:
        size, more = 0, True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise HTTPError(400, "the body ended early")
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > LARGEST_BODY:
                raise HTTPError(413, f"the body is longer than {LARGEST_BODY} bytes")
            yield part


Handler = Callable[[Request], Awaitable[Response]]


class App:
    """`lifespan` is entered before the first request is taken and left after the last one is answered."""

    def __init__(self, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._lifespan = lifespan
        self._routes: list[tuple[re.Pattern[str], dict[str, Handler]]] = []
        self.route("GET", "/health")(_healthy)

    def route(self, method: str, path: str) -> Callable[[Handler], Handler]:
        """Decorate a handler; `{name}` in the path takes one segment."""
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        def register(handler: Handler) -> Handler:
            for known, methods in self._routes:
                if known.pattern == pattern.pattern:
                    methods[method] = handler
                    return handler
            self._routes.append((pattern, {method: handler}))
            return handler

        return register

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            await _send(send, await self._answer(Request(scope["method"], scope["path"], headers, receive)))

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            async with self._lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            _log.exception("cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)(request)
        except HTTPError as error:
            return Response({"error": error.message}, error.status, error.headers)
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            return Response({"error": "something went wrong here; it is in the log"}, 500)

    def _handler(self, request: Request) -> Handler:
        for pattern, methods in self._routes:
            if match := pattern.fullmatch(request.path):
                handler = methods.get("GET" if request.method == "HEAD" else request.method)
                if handler is None:
                    raise HTTPError(405, f"{request.method} is not possible here", {"allow": ", ".join(methods)})
                request.parameters = match.groupdict()
                return handler
        raise HTTPError(404, "there is nothing at this address")


async def _healthy(request: Request) -> Response:
    return Response({"healthy": True})


async def _send(send: Any, response: Response) -> None:
    raw = isinstance(response.body, bytes)
    body = response.body if raw else json.dumps(response.body).encode()
    headers = {"x-served-by": _SERVED_BY, "cache-control": "no-store", "content-length": str(len(body))}
    if not raw:
        headers["content-type"] = "application/json"
    headers |= response.headers
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
