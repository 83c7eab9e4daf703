"""Who asks the keeper: JSON lines over a Unix socket that only the keeper's own user may use.

→ {"id": 7, "op": "stop", "name": "orders-1", "grace": 2.0}
← {"id": 7, "ok": {…}}  or  {"id": 7, "error": {"kind": "Refused", "message": "…"}}
← {"exit": {…}}         to whoever attached
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloudlet.runtime.keeper.errors import KeeperError
from cloudlet.runtime.keeper.loop import Loop, say
from cloudlet.runtime.keeper.record import to_json

_BACKLOG = 64
_READ = 256 * 1024
#: bytes of one request, and of answers that a client does not read; more and it is cut off
_MOST = 64 * 1024 * 1024

Handler = Callable[["Connection", dict[str, Any]], Any]


class Connection:
    """One client. `attached` means that it is a controller and hears of exits."""

    def __init__(self, server: Server, loop: Loop, peer: socket.socket) -> None:
        self._server, self._loop, self._peer = server, loop, peer
        self._inbox, self._outbox = bytearray(), bytearray()
        self.attached = False
        peer.setblocking(False)
        loop.watch(peer.fileno(), self._readable)

    def _readable(self) -> None:
        try:
            chunk = self._peer.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._inbox += chunk
        if not chunk or len(self._inbox) > _MOST:
            self.close()
            return
        *lines, rest = self._inbox.split(b"\n")
        self._inbox = bytearray(rest)
        for line in lines:
            self.send(self._server.answer(self, bytes(line)))

    def send(self, message: dict[str, Any]) -> None:
        if self._peer.fileno() < 0:
            return
        self._outbox += to_json(message).encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        try:
            while self._outbox:
                del self._outbox[: self._peer.send(self._outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if len(self._outbox) > _MOST:
            self.close()
            return
        self._loop.watch(self._peer.fileno(), self._readable, self._flush if self._outbox else None)

    def close(self) -> None:
        if self._peer.fileno() >= 0:
            self._loop.unwatch(self._peer.fileno())
            self._peer.close()
            self._server.closed(self)


class Server:
    """The socket and its connections."""

    def __init__(self, loop: Loop, handle: Handler, controllers: Callable[[bool], None]) -> None:
        """`controllers` is told when the first one came (true) and when the last one left (false)."""
        self._loop, self._handle, self._controllers = loop, handle, controllers
        self.connections: set[Connection] = set()

    def open(self, path: Path) -> None:
        """Replaces a socket that a dead keeper left. The caller's umask makes it mode 600."""
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.fspath(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._loop.watch(listener.fileno(), lambda: self._accept(listener))

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            peer, _ = listener.accept()
            credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            _, uid, _ = struct.unpack("3i", credentials)
            if uid != os.geteuid():
                say(f"user {uid} was turned away")
                peer.close()
                return
            self.connections.add(Connection(self, self._loop, peer))

    def answer(self, connection: Connection, line: bytes) -> dict[str, Any]:
        number = None
        try:
            request = json.loads(line)
            number = request["id"]
            return {"id": number, "ok": self._handle(connection, request)}
        except KeeperError as error:
            return {"id": number, "error": {"kind": error.kind, "message": str(error)}}
        except Exception as error:  # a bug here must not end the parent of everything
            traceback.print_exc()
            return {"id": number, "error": {"kind": "InternalError", "message": f"keeper: {error!r}"}}

    def attach(self, connection: Connection) -> None:
        first = not self._attached()
        connection.attached = True
        if first:
            self._controllers(True)

    def closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if connection.attached and not self._attached():
            self._controllers(False)

    def tell(self, end: dict[str, Any]) -> None:
        """Of an exit, to whoever attached."""
        for connection in self._attached():
            connection.send({"exit": end})

    def _attached(self) -> list[Connection]:
        return [connection for connection in self.connections if connection.attached]
