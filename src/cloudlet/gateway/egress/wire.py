"""A connection with flow control, read by a coroutine, or joined to another one so that bytes pass without any.

Not asyncio's streams: they cannot be joined, and a tunnel's bytes would wake two tasks for every piece.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

#: bytes read ahead of whoever reads, and written ahead of whoever receives, before the other side is held back
READ_AHEAD = 65_536
WRITE_AHEAD = 131_072


class Wire(asyncio.Protocol):
    """One side. `connected` is told of a new one; `ended` is set when the connection is over for both ways."""

    def __init__(self, connected: Callable[[Wire], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._connected = connected
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._held_back = False
        self._joined: Wire | None = None
        self._partner: Wire | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.eof = False
        self.received = self.sent = 0
        #: the loop's time of the last byte received
        self.active = self._loop.time()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_AHEAD)
        if self._connected is not None:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self.active = self._loop.time()
        if self._joined is not None:
            self._joined.write(data)
            return
        self._chunks.append(data)
        self._waiting += len(data)
        if self._waiting > READ_AHEAD and not self._held_back:
            self._hold_back()
        self._wake()

    def eof_received(self) -> bool:
        """Whether the other way stays open: in a tunnel until it ends too, not when somebody waits for an answer: who
        ends then has left."""
        self.eof = True
        self._wake()
        if self._joined is not None:
            self._joined.end()
            if self._joined.eof:
                self._joined.close()
            return not self._joined.eof
        return self._partner is None

    def connection_lost(self, _: Exception | None) -> None:
        self.eof = True
        self._wake()
        if not self.ended.done():
            self.ended.set_result(None)
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._partner is not None:
            self._partner.abort()

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()
        if self._joined is not None:
            self._joined._hold_back()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        if self._joined is not None:
            self._joined._let_go()

    # for coroutines

    @property
    def lost(self) -> bool:
        return self.ended.done()

    async def read(self) -> bytes:
        """The next bytes, empty at the end."""
        while not self._chunks:
            if self.eof:
                return b""
            self._let_go()
            self._reader = self._loop.create_future()
            await self._reader
        data = self._chunks.popleft()
        self._waiting -= len(data)
        return data

    def unread(self, data: bytes) -> None:
        if data:
            self._chunks.appendleft(data)
            self._waiting += len(data)

    @property
    def pending(self) -> bool:
        """Whether something has come that nobody has read."""
        return bool(self._chunks)

    def write(self, data: bytes) -> None:
        if not self.lost and not self.transport.is_closing():
            self.sent += len(data)
            self.transport.write(data)

    async def drain(self) -> None:
        """Returns when the other side has taken most of what was written, or is gone."""
        if self._writable is not None and not self.lost:
            await asyncio.shield(self._writable)

    def end(self) -> None:
        """Nothing more is written."""
        if not self.lost and not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        if not self.lost:
            self.transport.close()

    def abort(self) -> None:
        if not self.lost:
            self.transport.abort()

    def bind(self, partner: Wire | None) -> None:
        """When this side is lost, the partner is aborted."""
        self._partner = partner

    def join(self, other: Wire) -> None:
        """From now on whatever comes goes to the other one, the end too."""
        self._joined = other
        while self._chunks:
            other.write(self._chunks.popleft())
        self._waiting = 0
        if self.eof:
            other.end()
            if other.eof:
                other.close()
        if other._writable is None:
            self._let_go()
        else:
            self._hold_back()

    def _hold_back(self) -> None:
        if not self._held_back and not self.lost:
            self._held_back = True
            self.transport.pause_reading()

    def _let_go(self) -> None:
        if self._held_back and not self.lost:
            self._held_back = False
            self.transport.resume_reading()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
