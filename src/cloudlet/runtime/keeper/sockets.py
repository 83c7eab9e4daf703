"""The listening sockets, held so that they outlive whoever serves them, and how a successor comes by them
again.

A successor takes copies out of a living process that inherited them (pidfd_getfd: root may, and the same user
where nothing forbids it, see kernel.allow_successor). Where nobody has one any more it binds the address
anew. Not SO_REUSEPORT, by which one could always bind: then any program of the same user could take a share
of the connections.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from cloudlet.runtime.keeper import kernel
from cloudlet.runtime.keeper.errors import Refused
from cloudlet.runtime.keeper.loop import say
from cloudlet.runtime.keeper.record import SocketRecord, State

_BACKLOG = 4096


class Sockets:
    """The held sockets of one state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._open: dict[str, socket.socket] = {}

    def listen(self, name: str, host: str, port: int, *, datagram: bool) -> tuple[SocketRecord, bool]:
        """The socket, and whether it is new. Raises Refused."""
        held = self._state.sockets.get(name)
        if held is not None:
            if (held.host, held.datagram) == (host, datagram) and port in (0, held.port):
                return held, False
            raise Refused(f"socket {name} is held for {held.host}:{held.port}; release it first")
        opened = _bind(host, port, datagram=datagram)
        number = self._state.next_descriptor
        self._state.next_descriptor += 1
        record = SocketRecord(name, host, opened.getsockname()[1], number, datagram)
        self._state.sockets[name], self._open[name] = record, opened
        return record, True

    def release(self, name: str) -> bool:
        """Whether it was held."""
        if name in self._open:
            self._open.pop(name).close()
        return self._state.sockets.pop(name, None) is not None

    def inherited(self, names: Iterable[str]) -> dict[int, int]:
        """Number to inherit under → own descriptor. Raises Refused for a socket that is not held."""
        missing = [name for name in names if name not in self._open]
        if missing:
            raise Refused(f"no socket is held under the name {', '.join(missing)}; listen first")
        return {self._state.sockets[name].descriptor: self._open[name].fileno() for name in names}

    def regain(self, users: dict[str, list[int]]) -> None:
        """After a succession: `users` are the living processes that inherited each. One lost is said and
        dropped."""
        for name, record in tuple(self._state.sockets.items()):
            opened = next(filter(None, (_take(pid, record) for pid in users.get(name, ()))), None)
            if opened is None:
                opened = _bind_again(record)
            if opened is None:
                del self._state.sockets[name]
                continue
            self._open[name] = opened


def _bind(host: str, port: int, *, datagram: bool) -> socket.socket:
    family, address = _resolve(host, port)
    kind = socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM
    opened = socket.socket(family, kind)
    try:
        if not datagram:  # on a datagram socket this would share the port with others
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        if not datagram:
            opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        raise Refused(_why(host, port, error)) from error
    return opened


def _resolve(host: str, port: int) -> tuple[int, tuple[str, int]]:
    """Only addresses: a look-up could make the keeper wait."""
    host = "127.0.0.1" if host == "localhost" else host
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return family, (host, port)
    raise Refused(f"{host!r} is not an IP address")


def _why(host: str, port: int, error: OSError) -> str:
    reasons = {
        errno.EADDRINUSE: f"{host}:{port} is taken by another program",
        errno.EACCES: f"{host}:{port} needs privileges: ports below 1024 are root's",
        errno.EADDRNOTAVAIL: f"{host} is not an address of this machine",
    }
    return reasons.get(error.errno or 0, f"{host}:{port} cannot be bound: {error.strerror or error}")


def _take(pid: int, record: SocketRecord) -> socket.socket | None:
    """Out of this process: under the number it inherited, or wherever it moved it."""
    try:
        others = [int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        found = (_copy(pidfd, number, record) for number in (record.descriptor, *others))
        return next(filter(None, found), None)
    finally:
        os.close(pidfd)


def _copy(pidfd: int, number: int, record: SocketRecord) -> socket.socket | None:
    try:
        copy = socket.socket(fileno=kernel.take_descriptor(pidfd, number))
    except OSError:
        return None  # not a socket, or none that we may have
    try:
        listens = copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        kind = socket.SOCK_DGRAM if record.datagram else socket.SOCK_STREAM
        _, address = _resolve(record.host, record.port)
        if copy.type == kind and listens != record.datagram and copy.getsockname()[:2] == address:
            return copy
    except (OSError, TypeError):
        pass
    copy.close()
    return None


def _bind_again(record: SocketRecord) -> socket.socket | None:
    try:
        opened = _bind(record.host, record.port, datagram=record.datagram)
    except Refused as error:
        say(f"socket {record.name} is lost: {error}; whoever serves it goes on, its successor cannot")
        return None
    say(f"socket {record.name} was bound again on {record.host}:{record.port}: nobody alive had it")
    return opened
