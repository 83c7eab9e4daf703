"""One call: a request's messages to the service, and its answer back.

A stream's answer begins with its first message, so that a call that fails at once is told by its HTTP status; what
fails later is told by a last line. Messages are taken from the service only as the client reads them, and from the
client only as the service does. When the client leaves the call is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from cloudlet.gateway.grpc.binding import Bound, body_value
from cloudlet.gateway.grpc.channels import Lease
from cloudlet.gateway.grpc.lines import EVENTS, NDJSON, error_line, lines, message_line
from cloudlet.gateway.grpc.messages import LARGEST, Unfit, parsed, shown
from cloudlet.gateway.grpc.metadata import metadata
from cloudlet.gateway.grpc.status import problem, told
from cloudlet.gateway.headers import Headers
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Request
from cloudlet.gateway.response import Response

_JSON = "application/json"


class Call:
    """Of one request; `timeout` is in seconds: for a whole unary call, else until the answer begins."""

    def __init__(self, request: Request, bound: Bound, pool: Any, lease: Lease, timeout: float | None) -> None:
        self._request, self._bound, self._pool = request, bound, pool
        self._lease, self._timeout = lease, timeout
        self._method = bound.binding.method
        self._kind = EVENTS if EVENTS in request.headers.get("accept") else NDJSON
        self._call: Any = None
        self._writer: asyncio.Task[None] | None = None

    async def answer(self) -> Response:
        """Raises Refusal for a request that is no message of the method's."""
        try:
            return await (self._streamed() if self._method.server_streaming else self._whole())
        except Unfit as error:
            self._end()
            raise Refusal(400, str(error), reason="grpc-message") from error
        except grpc.aio.AioRpcError as error:
            self._end()
            return problem(error, self._pool)
        except TimeoutError as error:
            self._end()
            detail = f"the service did not answer within {self._timeout:g} s"
            raise Refusal(504, detail, code="DEADLINE_EXCEEDED") from error
        except BaseException:
            self._end()
            raise

    async def _whole(self) -> Response:
        if self._method.client_streaming:
            self._call = self._open("stream_unary")(metadata=metadata(self._request))
            await self._write()
            async with asyncio.timeout(self._timeout):
                message = await self._call
        else:
            sent = await self._message()
            told_by = metadata(self._request)
            self._call = self._open("unary_unary")(sent, timeout=self._timeout, metadata=told_by)
            message = await self._call
        self._end()
        content = shown(message, self._pool, self._bound.binding.answer)
        return Response(200, Headers([("content-type", _JSON)]), content + b"\n")

    async def _streamed(self) -> Response:
        told_by = metadata(self._request)
        if self._method.client_streaming:
            self._call = self._open("stream_stream")(metadata=told_by)
            self._writer = asyncio.create_task(self._write())
        else:
            self._call = self._open("unary_stream")(await self._message(), metadata=told_by)
        async with asyncio.timeout(self._timeout):
            first = await self._read()
        headers = Headers([("content-type", self._kind), ("cache-control", "no-store")])
        return Response(200, headers, stream=self._lines(first), close=self._end)

    async def _lines(self, message: Any) -> AsyncIterator[bytes]:
        try:
            while message is not grpc.aio.EOF:
                content = shown(message, self._pool, self._bound.binding.answer)
                yield message_line(self._kind, content)
                message = await self._read()
        except Unfit as error:
            yield error_line(self._kind, {"code": "INVALID_ARGUMENT", "message": str(error)})
        except grpc.aio.AioRpcError as error:
            yield error_line(self._kind, told(error, self._pool))
        finally:
            self._end()

    async def _read(self) -> Any:
        """The next message; where the call was given up because of what the client sent, that is why."""
        try:
            return await self._call.read()
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            failure = self._writer.exception() if self._writer and self._writer.done() else None
            if failure is not None:
                raise failure from None
            raise

    async def _write(self) -> None:
        """The body's lines, one message each. When the service has ended the call already, its status says why."""
        try:
            async for line in lines(self._request.body.chunks()):
                message = self._bound.message(parsed(line), self._request.query, self._pool)
                await self._call.write(message)
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return
        except BaseException:
            self._call.cancel()
            raise

    async def _message(self) -> Any:
        content = await self._request.body.read(LARGEST)
        return self._bound.message(body_value(content), self._request.query, self._pool)

    def _open(self, kind: str) -> Any:
        method = self._method
        make = getattr(self._lease.channel, kind)
        return make(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

    def _end(self) -> None:
        """Whatever still goes on is given up; may be called again."""
        if self._writer is not None and not self._writer.cancel() and not self._writer.cancelled():
            self._writer.exception()  # told above where it is why the call ended
        if self._call is not None:
            self._call.cancel()
        self._lease.release()
