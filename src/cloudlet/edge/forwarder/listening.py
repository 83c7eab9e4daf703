"""The socket that clients send to. Replies leave from the very address that the client wrote to.

That matters on a socket bound to every address: the kernel would pick the source by its routes, and a client
that asked another address drops the reply. There the destination is read with each datagram (IP_PKTINFO) and
set on its replies; a socket bound to one address has no such question and takes the quicker calls.
"""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

#: the longest datagram that UDP can carry
LONGEST = 65535
#: bytes: room for bursts while Python is busy; the kernel caps it at net.core.rmem_max
_BUFFER = 4 * 1024 * 1024
#: Linux: not in the socket module before Python 3.14
_IP_PKTINFO = 8
_ROOM = socket.CMSG_SPACE(64)

Ancillary = tuple[tuple[int, int, bytes], ...]


class Client(NamedTuple):
    """Who sent a datagram, and with what its replies are to be sent."""

    address: tuple[Any, ...]
    source: Ancillary = ()


class Listening:
    """The inherited socket. Raises OSError when the descriptor is no UDP socket."""

    def __init__(self, descriptor: int) -> None:
        self.socket = socket.socket(fileno=descriptor)
        if self.socket.type != socket.SOCK_DGRAM:
            raise OSError(f"descriptor {descriptor} is no UDP socket")
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._wildcard = self.socket.getsockname()[0] in ("0.0.0.0", "::")  # noqa: S104  # a comparison
        if self._wildcard:
            self._ask_for_destinations()

    def _ask_for_destinations(self) -> None:
        if self.socket.family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def receive(self) -> tuple[bytes, Client]:
        """The next datagram. Raises BlockingIOError when there is none."""
        if not self._wildcard:
            data, address = self.socket.recvfrom(LONGEST)
            return data, Client(address)
        data, ancillary, _, address = self.socket.recvmsg(LONGEST, _ROOM)
        return data, Client(address, _reply_from(ancillary))

    def reply(self, data: bytes, client: Client) -> None:
        """Raises OSError, BlockingIOError when the kernel has no room."""
        if client.source:
            self.socket.sendmsg((data,), client.source, 0, client.address)
        else:
            self.socket.sendto(data, client.address)


def _reply_from(ancillary: list[tuple[int, int, bytes]]) -> Ancillary:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            # in_pktinfo: interface, local address, destination; interface 0 leaves the way to the routes.
            # the local address is missing in datagrams that waited in the socket before IP_PKTINFO was set
            source = data[4:8] if any(data[4:8]) else data[8:12]
            return ((level, kind, bytes(4) + source + bytes(4)),)
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            return ((level, kind, data),)
    return ()
