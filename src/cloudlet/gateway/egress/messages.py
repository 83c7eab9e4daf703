"""Heads and chunked bodies, read by llhttp without any leniency: bare line feeds, folded lines, blanks before colons,
two lengths, or a length beside chunks are errors. Where a body ends is decided here, once, for both sides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httptools

from cloudlet.gateway.egress.fields import Fields, tokens
from cloudlet.gateway.egress.wire import Wire

#: bytes of a head, and fields in it
LARGEST_HEAD = 65_536
MOST_FIELDS = 200
_NO_BODY = frozenset({204, 304})


class Malformed(Exception):
    """What came is not HTTP/1 as it must be; `status` is how a client is answered."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(slots=True)
class Head:
    """`length` of the body: None when chunked or, for an answer, up to the end of the connection."""

    method: str = ""
    url: str = ""
    status: int = 0
    reason: bytes = b""
    version: str = "1.1"
    fields: Fields = field(default_factory=list)
    length: int | None = 0
    chunked: bool = False
    keep_alive: bool = True
    parser: httptools.HttpRequestParser | httptools.HttpResponseParser | None = None
    events: Collector | None = None


class Collector:
    """What llhttp calls back."""

    def __init__(self) -> None:
        self.url = self.reason = b""
        self.fields: Fields = []
        self.pieces: list[bytes] = []
        self.begun = 0
        self.complete = False

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, piece: bytes) -> None:
        if not self.complete:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.complete = True


async def read_request(wire: Wire, within: float, silent: float) -> Head | None:
    """The next request's head, None when the client has none. Raises Malformed, or TimeoutError when it began and
    did not come whole `within` so many seconds; a client may be `silent` before it begins."""
    try:
        async with asyncio.timeout(silent):
            start = await wire.read()
    except TimeoutError:
        return None
    if not start:
        return None
    wire.unread(start)
    async with asyncio.timeout(within):
        raw = await _raw_head(wire)
    if raw is None:
        return None
    events = Collector()
    parser = httptools.HttpRequestParser(events)
    _feed(parser, raw)
    if not events.url:
        raise Malformed("it is no HTTP request")
    head = _head(parser, events)
    head.method, head.url = parser.get_method().decode("ascii"), events.url.decode("latin-1")
    head.length, head.chunked = _framing(head, answer=False)
    return head


async def read_answer(wire: Wire, method: str) -> Head | None:
    """An answer's head to a request of this method, None when the server said nothing. Raises Malformed."""
    raw = await _raw_head(wire)
    if raw is None:
        return None
    events = Collector()
    parser = httptools.HttpResponseParser(events)
    _feed(parser, raw)
    head = _head(parser, events)
    head.status, head.reason = parser.get_status_code(), events.reason
    if head.status < 200 or head.status in _NO_BODY or method == "HEAD":
        _framing(head, answer=True)
        head.length, head.chunked = 0, False
    else:
        head.length, head.chunked = _framing(head, answer=True)
    return head


async def _raw_head(wire: Wire) -> bytes | None:
    """Up to and with the empty line; what follows stays unread. None when nothing came. Raises Malformed."""
    raw = b""
    while len(raw) <= LARGEST_HEAD:
        data = await wire.read()
        if not data:
            if raw:
                raise Malformed("the head is cut off")
            return None
        seen = max(len(raw) - 3, 0)
        raw = raw + data if raw else data.lstrip(b"\r\n")  # RFC 9112, 2.2
        end = raw.find(b"\r\n\r\n", seen)
        if 0 <= end <= LARGEST_HEAD:
            wire.unread(raw[end + 4 :])
            return raw[: end + 4]
    raise Malformed(f"the head has more than {LARGEST_HEAD} bytes", 431)


def _feed(parser: httptools.HttpRequestParser | httptools.HttpResponseParser, data: bytes) -> None:
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # CONNECT, or an upgrade, which a proxy may ignore
    except httptools.HttpParserError as error:
        raise Malformed(f"it is no HTTP message: {error}") from error


def _head(parser: httptools.HttpRequestParser | httptools.HttpResponseParser, events: Collector) -> Head:
    version = parser.get_http_version()
    if version not in ("1.0", "1.1"):
        raise Malformed(f"HTTP/{version} is not spoken here", 505)
    if len(events.fields) > MOST_FIELDS:
        raise Malformed(f"the head has more than {MOST_FIELDS} fields", 431)
    head = Head(version=version, fields=list(events.fields), parser=parser, events=events)
    # llhttp has forgotten it once a message without a body is complete
    head.keep_alive = version == "1.1" and b"close" not in tokens(head.fields, b"connection")
    return head


def _framing(head: Head, *, answer: bool) -> tuple[int | None, bool]:
    """How long the body is and whether it comes in chunks, by RFC 9112, 6.3. Raises Malformed for what could be read
    in two ways."""
    codings = [value.strip().lower() for name, value in head.fields if name.lower() == b"transfer-encoding"]
    lengths = {value.strip() for name, value in head.fields if name.lower() == b"content-length"}
    if codings:
        if codings != [b"chunked"] or lengths or head.version == "1.0":
            raise Malformed("its length is ambiguous: one Content-Length, or `Transfer-Encoding: chunked`")
        return None, True
    if lengths:
        length = lengths.pop()
        if lengths or not length.isdigit() or len(length) > 18:
            raise Malformed("its Content-Length is no number")
        return int(length), False
    return (None, False) if answer else (0, False)


@dataclass(slots=True)
class Body:
    """The body of the message whose head was read from this wire. `within` seconds must bring some of it."""

    wire: Wire
    head: Head
    within: float
    #: whether it was read to its end, and nothing followed that could be mistaken for a message
    whole: bool = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises Malformed when it is cut off or not well formed, TimeoutError when it stalls."""
        source = self._chunks() if self.head.chunked else self._plain()
        async for piece in source:
            yield piece

    async def _plain(self) -> AsyncIterator[bytes]:
        left = self.head.length
        while left is None or left > 0:
            data = await self._read()
            if not data:
                if left is None:
                    return  # up to the end: such a connection is not used again, so `whole` stays false
                raise Malformed("the body is cut off")
            if left is not None and len(data) > left:
                self.wire.unread(data[left:])
                data = data[:left]
            if left is not None:
                left -= len(data)
            yield data
        self.whole = True

    async def _chunks(self) -> AsyncIterator[bytes]:
        parser, events = self.head.parser, self.head.events
        assert parser is not None and events is not None, "a head that was read has its parser"
        while not events.complete:
            data = await self._read()
            if not data:
                raise Malformed("the body is cut off")
            overrun = False
            try:
                parser.feed_data(data)
            except httptools.HttpParserUpgrade:
                overrun = True
            except httptools.HttpParserError as error:
                if not events.complete:
                    raise Malformed(f"the body is not well formed: {error}") from error
                overrun = True
            for piece in events.pieces:
                yield piece
            events.pieces.clear()
            self.whole = events.complete and events.begun == 1 and not overrun

    async def _read(self) -> bytes:
        async with asyncio.timeout(self.within):
            return await self.wire.read()
