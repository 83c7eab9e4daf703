"""Between the HTTP server and `Application`. ASGI and not RSGI: Granian's RSGI gives the path decoded, so that `%2f`
could not be passed on as it came, and drops header fields that are not ASCII."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from cloudlet.gateway.headers import Headers
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Body, Request
from cloudlet.gateway.response import Response
from cloudlet.gateway.server import ROUTE, Application

Message: TypeAlias = MutableMapping[str, Any]
_BODILESS = frozenset({204, 304})


class Server:
    """The application as ASGI sees it; counts what is under way."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.under_way = 0

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        self.under_way += 1
        try:
            incoming = Incoming(receive)
            response = await self._answer(_request(scope, incoming))
            try:
                await _send(response, incoming, send, head=scope["method"] == "HEAD")
            finally:
                response.close()
        except ConnectionResetError:
            return
        finally:
            self.under_way -= 1

    async def _answer(self, request: Request) -> Response:
        if request.headers.get("upgrade").lower() == "websocket":
            return Refusal(501, "WebSockets do not pass through the gateway service", reason="websocket").response()
        request.headers = request.headers.end_to_end()
        return await self._application.handle(request)


def _request(scope: Message, incoming: Incoming) -> Request:
    headers = Headers.received(scope["headers"])
    label = headers.get(ROUTE)
    length = headers.get("content-length")
    body = Body(incoming.chunk) if length not in ("", "0") or "transfer-encoding" in headers else Body()
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return Request(scope["method"], path, query, headers, body, label)


class Incoming:
    """What comes from the client: its body, and at last that it is gone."""

    def __init__(self, receive: Callable[[], Awaitable[Message]]) -> None:
        self._receive = receive
        self._begun = False
        self._ended = asyncio.Event()

    async def chunk(self) -> bytes | None:
        self._begun = True
        if self._ended.is_set():
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client is gone")
        if not message.get("more_body", False):
            self._ended.set()
        content: bytes = message.get("body", b"")
        return content or (None if self._ended.is_set() else b"")

    async def gone(self) -> None:
        """Returns when the client has left. A body that is read while the answer is sent already is left to its
        reader, who is told the same."""
        if self._begun:
            await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _send(
    response: Response,
    incoming: Incoming,
    send: Callable[[Message], Awaitable[None]],
    *,
    head: bool,
) -> None:
    headers, bodiless = response.headers, head or response.status in _BODILESS
    if response.stream is None and not bodiless:
        headers.set("content-length", str(len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers.sent()})
    if bodiless or response.stream is None:
        await send({"type": "http.response.body", "body": b"" if bodiless else response.body})
        return
    task = asyncio.current_task()
    assert task is not None, "runs in a task"
    watch = asyncio.create_task(_cancel_when_gone(incoming, task))
    try:
        await _send_stream(response.stream, send)
    except asyncio.CancelledError:
        if not watch.done():
            raise
        task.uncancel()
        raise ConnectionResetError("the client is gone") from None
    finally:
        watch.cancel()


async def _send_stream(stream: AsyncIterator[bytes], send: Callable[[Message], Awaitable[None]]) -> None:
    """A stream that breaks is broken off for the client too, never ended as if it were whole."""
    async for chunk in stream:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _cancel_when_gone(incoming: Incoming, task: asyncio.Task[None]) -> None:
    """Nothing else tells that nobody reads any more: sending does not fail."""
    await incoming.gone()
    task.cancel()
