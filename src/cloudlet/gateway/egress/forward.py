"""One plain HTTP request sent on and its answer brought back, both written anew from what was read.

A client's connection keeps one connection to the destination it asked last, and shares it with nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from cloudlet.gateway.egress import freshness
from cloudlet.gateway.egress.answers import CONTINUE
from cloudlet.gateway.egress.cache import Cache
from cloudlet.gateway.egress.connect import Connector, Refusal
from cloudlet.gateway.egress.fields import Fields, first, tokens
from cloudlet.gateway.egress.freshness import Stored
from cloudlet.gateway.egress.headers import inward, outward
from cloudlet.gateway.egress.messages import Body, Head, Malformed, read_answer
from cloudlet.gateway.egress.target import Target
from cloudlet.gateway.egress.wire import Wire
from cloudlet.stack.destinations import Address

#: seconds in which a client must send, or take, some of a body
_STALL = 60.0
#: interim answers before the final one
_MOST_INTERIM = 20
#: the error type of a connection that was closed without a word
_CLOSED = "connection_terminated"
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"})


@dataclass(slots=True)
class Request:
    """What is asked for, by whom; `entry` is its line in the log."""

    service: str
    target: Target
    head: Head
    entry: dict[str, object]


@dataclass(frozen=True, slots=True)
class Kept:
    """A connection that may be used again, for the same service and destination."""

    service: str
    authority: str
    wire: Wire
    address: Address


class Forwarder:
    """For one client's connection. `idle` is how many seconds an answer may stand still."""

    def __init__(self, client: Wire, connector: Connector, cache: Cache | None, idle: float) -> None:
        self._client, self._connector, self._cache, self._idle = client, connector, cache, idle
        self._kept: Kept | None = None

    async def forward(self, request: Request) -> bool:
        """Whether the client's connection may go on. Raises Refusal while nothing is answered yet."""
        head, asked = request.head, time.time()
        cache = self._cache if head.method == "GET" and head.length == 0 else None
        stored = self._find(request) if cache else None
        if stored is not None and freshness.is_fresh(stored, head.fields, asked):
            request.entry["cache"] = "hit"
            return await self._give(request, stored)
        if self._cache and "only-if-cached" in freshness.directives(head.fields):
            raise Refusal(504, "it is not in the cache (only-if-cached)", "proxy_internal_response")
        conditional = b"if-none-match" in _names(head) or b"if-modified-since" in _names(head)
        extra = stored.validators if stored is not None and not conditional else []
        upstream, answer, sender = await self._ask(request, extra)
        if extra and answer.status == 304 and stored is not None and cache:
            return await self._still_good(request, stored, upstream, answer, asked)
        keep = bool(cache) and not conditional and freshness.may_store(head.fields, answer)
        return await self._bring(request, upstream, answer, sender, asked, keep=keep)

    def close(self) -> None:
        self._client.bind(None)
        if self._kept is not None:
            self._kept.wire.abort()
            self._kept = None

    # the cache

    def _find(self, request: Request) -> Stored | None:
        assert self._cache is not None, "who looks has a cache"
        stored = self._cache.find(request.target, request.head.fields)
        if stored is None or first(request.head.fields, b"range"):
            return None
        return stored if self._connector.may_have(request.service, request.target, stored.address) else None

    async def _give(self, request: Request, stored: Stored) -> bool:
        """What was kept."""
        has_it = freshness.matches(stored, request.head.fields)
        age = int(stored.current_age(time.time()))
        status, reason = (304, b"Not Modified") if has_it else (stored.status, stored.reason)
        fields = [*stored.fields, (b"Age", b"%d" % age)]
        if not has_it:
            fields.append((b"Content-Length", b"%d" % len(stored.body)))
        going_on = request.head.keep_alive
        self._client.write(_answer(status, reason, fields, close=not going_on) + (b"" if has_it else stored.body))
        request.entry["status"] = status
        await self._drain()
        return going_on

    async def _still_good(self, request: Request, stored: Stored, upstream: Kept, answer: Head, asked: float) -> bool:
        self._keep(upstream, answer, whole=True)
        assert self._cache is not None, "what is still good was kept"
        fresh = freshness.refreshed(stored, list(inward(answer.fields)), asked, time.time())
        self._cache.put(request.target, request.head.fields, fresh)
        request.entry["cache"] = "revalidated"
        return await self._give(request, fresh)

    # outside

    async def _ask(self, request: Request, extra: Fields) -> tuple[Kept, Head, asyncio.Task[None] | None]:
        """Send the request; its answer's head, and who still sends the body. Once more where a kept connection had
        been closed meanwhile. Raises Refusal."""
        again = request.head.method in _IDEMPOTENT and request.head.length == 0 and not request.head.chunked
        kept, self._kept = self._kept, None
        if kept is not None:
            usable = kept.service == request.service and kept.authority == request.target.authority
            if usable and again and not kept.wire.eof and not kept.wire.pending:
                try:
                    return await self._ask_by(request, extra, kept)
                except Refusal as refusal:
                    if refusal.kind != _CLOSED:
                        raise
            kept.wire.abort()
        wire, address = await self._connector.connect(request.service, request.target)
        return await self._ask_by(request, extra, Kept(request.service, request.target.authority, wire, address))

    async def _ask_by(self, request: Request, extra: Fields, by: Kept) -> tuple[Kept, Head, asyncio.Task[None] | None]:
        request.entry["address"] = str(by.address)
        self._client.bind(by.wire)
        by.wire.write(_request(request, extra))
        sender: asyncio.Task[None] | None = None
        if request.head.chunked or request.head.length:
            if b"100-continue" in tokens(request.head.fields, b"expect"):
                self._client.write(CONTINUE)
            sender = asyncio.create_task(self._send_body(request.head, by.wire))
        try:
            return by, await self._final_answer(by.wire, request.head.method, sender), sender
        except BaseException:
            by.wire.abort()
            await _stop(sender)
            raise

    async def _final_answer(self, wire: Wire, method: str, sender: asyncio.Task[None] | None) -> Head:
        """Raises Refusal."""
        try:
            async with asyncio.timeout(self._idle):
                for _ in range(_MOST_INTERIM):
                    answer = await read_answer(wire, method)
                    if answer is None:
                        break
                    if answer.status >= 200:
                        return answer
                    if answer.status == 101:
                        raise Malformed("it changed the protocol, which nobody asked for")
        except TimeoutError:
            raise Refusal(504, f"no answer within {self._idle:.0f} s", "http_response_timeout") from None
        except Malformed as error:
            _client_fault(sender)
            raise Refusal(502, str(error), "http_protocol_error") from None
        _client_fault(sender)
        raise Refusal(502, "it closed the connection without an answer", _CLOSED)

    async def _send_body(self, head: Head, upstream: Wire) -> None:
        """On any failure the destination's connection is aborted, so that nothing is taken for whole."""
        body = Body(self._client, head, _STALL)
        try:
            async for piece in body.pieces():
                upstream.write(b"%x\r\n%b\r\n" % (len(piece), piece) if head.chunked else piece)
                async with asyncio.timeout(_STALL):
                    await upstream.drain()
            if head.chunked:
                upstream.write(b"0\r\n\r\n")
                head.keep_alive = head.keep_alive and body.whole
        except (Malformed, TimeoutError):
            upstream.abort()
            raise

    async def _bring(
        self, request: Request, by: Kept, answer: Head, sender: asyncio.Task[None] | None, asked: float, *, keep: bool
    ) -> bool:
        """The answer to the client, and to the cache."""
        request.entry["status"] = answer.status
        fields = list(inward(answer.fields))
        has_body = answer.chunked or answer.length != 0
        chunks = has_body and answer.length is None and request.head.version == "1.1"
        sent_all = sender is None or sender.done()
        going_on = request.head.keep_alive and sent_all
        out = _answer(answer.status, answer.reason, [*fields, *_framing(request, answer, chunks)], close=not going_on)
        body = Body(by.wire, answer, self._idle, whole=not has_body)
        kept: list[bytes] | None = [] if keep else None
        try:
            out, kept = await self._stream(body, out, kept, chunks=chunks) if has_body else (out, kept)
        except (Malformed, TimeoutError) as error:
            # what the client has is not whole, and it must not look so
            request.entry["error"] = f"the answer broke off: {error}"
            by.wire.abort()
            self._client.abort()
            await _stop(sender)
            return False
        self._client.write(out + (b"0\r\n\r\n" if chunks else b""))
        await self._drain()
        if kept is not None and self._cache is not None:
            whole = Head(status=answer.status, reason=answer.reason, fields=fields)
            kept_answer = freshness.store(request.head.fields, whole, b"".join(kept), asked, time.time(), by.address)
            self._cache.put(request.target, request.head.fields, kept_answer)
            request.entry["cache"] = "stored"
        elif self._cache is not None and request.head.method not in _SAFE and answer.status < 400:
            self._cache.drop(request.target)
        sent_all = sender is None or (sender.done() and not sender.cancelled() and sender.exception() is None)
        await _stop(sender)
        self._keep(by, answer, whole=body.whole and sent_all)
        return going_on and sent_all and request.head.keep_alive

    async def _stream(
        self, body: Body, out: bytes, kept: list[bytes] | None, *, chunks: bool
    ) -> tuple[bytes, list[bytes] | None]:
        """What is left to be written at the end, and the body where it is small enough to be kept."""
        size, largest = 0, self._cache.largest if self._cache else 0
        async for piece in body.pieces():
            self._client.write(out + (b"%x\r\n%b\r\n" % (len(piece), piece) if chunks else piece))
            out = b""
            async with asyncio.timeout(_STALL):
                await self._client.drain()
            size += len(piece)
            if kept is not None:
                kept = [*kept, piece] if size <= largest else None
        return out, kept

    def _keep(self, by: Kept, answer: Head, *, whole: bool) -> None:
        self._client.bind(None)
        if whole and answer.keep_alive and not by.wire.pending and not by.wire.eof:
            self._kept = by
        else:
            by.wire.abort()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(_STALL):
                await self._client.drain()
        except TimeoutError:
            self._client.abort()


def _request(request: Request, extra: Fields) -> bytes:
    """The request as the outside gets it: in origin form, its Host from the URL."""
    head, target = request.head, request.target
    lines = [f"{head.method} {target.path} HTTP/1.1\r\nHost: {target.host_header}\r\n".encode("latin-1")]
    lines += [b"%b: %b\r\n" % field for field in (*outward(head.fields), *extra)]
    if head.chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif b"content-length" in _names(head):
        lines.append(b"Content-Length: %d\r\n" % (head.length or 0))
    return b"".join([*lines, b"\r\n"])


def _answer(status: int, reason: bytes, fields: Fields, *, close: bool) -> bytes:
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason), *(b"%b: %b\r\n" % field for field in fields)]
    return b"".join([*lines, b"Connection: close\r\n\r\n" if close else b"\r\n"])


def _framing(request: Request, answer: Head, chunks: bool) -> Fields:
    """How the client finds the end of the answer's body."""
    if chunks:
        return [(b"Transfer-Encoding", b"chunked")]
    if request.head.method == "HEAD" or answer.status == 304:
        length = first(answer.fields, b"content-length")
        return [(b"Content-Length", length)] if length else []
    if answer.length is None or answer.status == 204:
        return []
    return [(b"Content-Length", b"%d" % answer.length)]


def _names(head: Head) -> set[bytes]:
    return {name.lower() for name, _ in head.fields}


def _client_fault(sender: asyncio.Task[None] | None) -> None:
    """Raises Refusal when it was the client's body that failed."""
    error = sender.exception() if sender is not None and sender.done() and not sender.cancelled() else None
    if isinstance(error, Malformed):
        raise Refusal(400, str(error), "http_request_error") from error
    if isinstance(error, TimeoutError):
        raise Refusal(408, "the body stopped coming", "http_request_error") from error


async def _stop(sender: asyncio.Task[None] | None) -> None:
    if sender is not None:
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError, Malformed, TimeoutError):
            await sender
