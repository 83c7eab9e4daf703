"""One HTTP/1.1 connection of a client: a request out, its answer in, then the next. No pipelining."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol, cast

import httptools

from cloudlet.load.report import PROTOCOL, RESET, REUSED_CLOSED


@dataclass(slots=True)
class Job:
    """One request on its way: `due` in time.monotonic() seconds, and what it is on the wire."""

    due: float
    payload: bytes
    idempotent: bool
    head: bool
    retried: bool = False


class Owner(Protocol):
    """Who is told how a connection's request ended."""

    def answered(self, connection: Connection, job: Job, status: int, value: str | None) -> None: ...

    def broken(self, connection: Connection, job: Job, kind: str, *, reached: bool) -> None: ...

    def idle_closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """`by_header` is the header, in lower case, whose value goes with each answer."""

    def __init__(self, owner: Owner, by_header: bytes | None) -> None:
        self._owner = owner
        self._by_header = by_header
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._value: str | None = None
        self._begun = False  # the answer's first byte has come
        self._framed = False  # the answer says where it ends
        self._headed = False  # its headers are complete
        self._bodiless = False  # … and it is a HEAD's, which has no body whatever its headers say
        self.job: Job | None = None
        self.served = 0
        self.reusable = True

    def send(self, job: Job) -> None:
        self.job = job
        self._value = None
        self._begun = self._framed = self._headed = self._bodiless = False
        if self._transport is not None:
            self._transport.write(job.payload)

    def abandon(self) -> None:
        """Close at once; the request on it, if any, is no longer its own."""
        self.job = None
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # a cast, for uvloop's transports derive from nothing
        self._transport = cast(asyncio.Transport, transport)
        if self.job is not None:
            self._transport.write(self.job.payload)

    def data_received(self, data: bytes) -> None:
        if self.job is None:
            # an answer to nothing: after it nothing on this connection can be trusted
            self._fail(PROTOCOL)
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(PROTOCOL)
            return
        if self._bodiless:
            # the parser would wait for a body, so the next answer gets a new one
            parser, self._parser = self._parser, httptools.HttpResponseParser(self)
            self._finish(parser)

    def connection_lost(self, exc: Exception | None) -> None:
        job, self.job = self.job, None
        if job is None:
            if self.reusable:
                self._owner.idle_closed(self)
            return
        self.reusable = False
        if exc is None and self._headed and not self._framed:
            # RFC 9112 6.3: without length or chunks, the end of the connection is the end of the answer
            self._owner.answered(self, job, self._parser.get_status_code(), self._value)
        else:
            kind = REUSED_CLOSED if self.served and not self._begun else RESET
            self._owner.broken(self, job, kind, reached=True)

    def _fail(self, kind: str) -> None:
        job, self.job = self.job, None
        if job is None:
            self._owner.idle_closed(self)
        self.abandon()
        if job is not None:
            self._owner.broken(self, job, kind, reached=True)

    # what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) in (14, 17) and name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True
        elif self._by_header is not None and name.lower() == self._by_header:
            self._value = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._headed = True
        if self.job is not None and self.job.head:
            self._bodiless = self._parser.get_status_code() >= 200

    def on_message_complete(self) -> None:
        if self.job is None or self._bodiless:
            return
        if self._parser.get_status_code() < 200:
            self._framed = self._headed = False  # 100 or 103: the answer itself is still to come
            return
        self._finish(self._parser)

    def _finish(self, parser: httptools.HttpResponseParser) -> None:
        job, self.job = self.job, None
        assert job is not None, "an answer ends once"
        self.served += 1
        if not parser.should_keep_alive():
            self.reusable = False
            if self._transport is not None:
                self._transport.close()
        self._owner.answered(self, job, parser.get_status_code(), self._value)
