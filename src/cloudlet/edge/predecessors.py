"""Processes that were succeeded and still have connections (WebSockets mostly).

HAProxy closes the runtime socket of a process that is told to finish, so what such a process still has is counted by
its TCP connections to the servers, as the kernel shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

_ESTABLISHED = "01"


class Predecessors:
    """The process ids of those that may still live."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def add(self, pid: int) -> None:
        self._pids.add(pid)

    def forget(self, pid: int) -> None:
        self._pids.discard(pid)

    def leave_to(self, others: Predecessors) -> None:
        """Let others count them."""
        others._pids |= self._pids
        self._pids.clear()

    def sessions(self, places: Mapping[tuple[str, str], tuple[str, int]]) -> dict[tuple[str, str], int]:
        """Connections they have to each of the servers, given by address and port."""
        counts: dict[tuple[str, int], int] = {}
        for pid in tuple(self._pids):
            inodes = _socket_inodes(pid)
            if inodes is None:
                self._pids.discard(pid)
                continue
            for place, inode in _connections(pid):
                if inode in inodes:
                    counts[place] = counts.get(place, 0) + 1
        return {key: counts[place] for key, place in places.items() if place in counts} if counts else {}


def _socket_inodes(pid: int) -> set[str] | None:
    """The sockets a process has open; None when it is gone."""
    folder = Path(f"/proc/{pid}/fd")
    inodes = set()
    try:
        for entry in folder.iterdir():
            try:
                target = str(entry.readlink())
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    except (FileNotFoundError, ProcessLookupError):
        return None
    return inodes


def _connections(pid: int) -> list[tuple[tuple[str, int], str]]:
    """Established connections of the process's network: the far end, and the socket's inode (proc(5))."""
    found = []
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == _ESTABLISHED:
                found.append((_place(words[2]), words[9]))
    return found


def _place(text: str) -> tuple[str, int]:
    """`0100007F:1F90` → ("127.0.0.1", 8080): 32-bit words in the machine's order, little-endian wherever this runs."""
    host, _, port = text.partition(":")
    raw = bytes.fromhex(host)
    ordered = b"".join(raw[place : place + 4][::-1] for place in range(0, len(raw), 4))
    return str(ip_address(ordered)), int(port, 16)
