"""What a process printed and is not in its log yet, kept where the death of the keeper cannot lose it.

A file mapped into memory: the kernel keeps its pages when the keeper is killed, at whatever instruction. Its
header is five numbers, each step of moving bytes on is one assignment to it, and `recover` tells from it what
was done:

    start, end    the bytes taken from the FIFO and not yet in the log are data[start:end]
    incoming      so many more are being read to data[end:]; that place was zeroed before, and text has no NUL
    writing       so many from `start` are being written to the log …
    offset        … which was this long before, so it is cut back to that length and they are written again
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import termios
from pathlib import Path

_HEADER = struct.Struct("<QQQQQ")
_DATA = 64
#: bytes; room for what one read takes and for the unfinished line before it
CAPACITY = 128 * 1024
_READ = 64 * 1024


class Spool:
    """The spool of one process. `recovered_offset` is where the log must be cut back to, None for nowhere."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map = self._open()
        self._start, self._end, incoming, writing, offset = self._read_header()
        self.recovered_offset = offset if writing else None
        if incoming and any(self._map[_DATA + self._end : _DATA + self._end + incoming]):
            self._end += incoming

    def _open(self) -> mmap.mmap:
        size = _DATA + CAPACITY
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)  # a hole on a full disk would be SIGBUS later
            return mmap.mmap(descriptor, size)
        except OSError:
            return mmap.mmap(-1, size)  # no room: what is here now is lost if the keeper is killed as well
        finally:
            os.close(descriptor)

    def _read_header(self) -> tuple[int, int, int, int, int]:
        start, end, incoming, writing, offset = _HEADER.unpack_from(self._map)
        if not 0 <= start <= end <= end + incoming <= CAPACITY or start + writing > end:
            return 0, 0, 0, 0, 0
        return start, end, incoming, writing, offset

    def _save(self, incoming: int = 0, writing: int = 0, offset: int = 0) -> None:
        self._map[: _HEADER.size] = _HEADER.pack(self._start, self._end, incoming, writing, offset)

    def fill(self, descriptor: int) -> bool:
        """Take what can be read now, up to the room there is; whether there was anything."""
        waiting = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))[0]
        self._make_room()
        count = min(waiting, _READ, CAPACITY - self._end)
        if not count:
            return False
        place = _DATA + self._end
        self._map[place : place + count] = bytes(count)
        self._save(incoming=count)
        with memoryview(self._map) as view, view[place : place + count] as target:
            count = os.readv(descriptor, [target])
        self._end += count
        self._save()
        return True

    def _make_room(self) -> None:
        """Move an unfinished line to the front; it is shorter than what is free there, so the two never
        overlap."""
        length = self._end - self._start
        if self._start and length <= self._start:
            self._map[_DATA : _DATA + length] = self._map[_DATA + self._start : _DATA + self._end]
            self._start, self._end = 0, length
            self._save()

    def pending(self) -> bytes:
        return self._map[_DATA + self._start : _DATA + self._end]

    def begin(self, length: int, offset: int) -> None:
        """The first `length` bytes are about to be written to the log, which is `offset` bytes long."""
        self._save(writing=length, offset=offset)

    def done(self, length: int) -> None:
        """They are in the log."""
        self._start += length
        if self._start == self._end:
            self._start = self._end = 0
        self._save()

    def close(self, *, remove: bool) -> None:
        self._map.close()
        if remove:
            self._path.unlink(missing_ok=True)
