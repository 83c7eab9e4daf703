"""A log file that is rotated by size: NAME.log, then NAME.log.1 (the newest of the old) to NAME.log.4."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: bytes of one file, beyond which the next is begun
ROTATE_AT = 10 * 1024 * 1024
#: files kept of one log, the present one included
FILES_KEPT = 5


class LogFile:
    """Appends whole blocks of lines. A write that fails leaves nothing half-written and is counted in `lost`,
    the number of lines that could not be written since the last that could."""

    def __init__(self, path: Path, rotate_at: int = ROTATE_AT) -> None:
        self._path, self._rotate_at = path, rotate_at
        self._descriptor = -1
        self.size = 0
        self.lost = 0
        self.reason = ""

    def prepare(self, length: int) -> int:
        """Make ready for `length` more bytes, rotating when they are too many; the size before them."""
        try:
            if self._descriptor >= 0 and not os.fstat(self._descriptor).st_nlink:
                self.close()  # somebody removed it
            if self._descriptor < 0:
                self._open()
            if self.size and self.size + length > self._rotate_at:
                self._rotate()
        except OSError as error:
            self._fail(error)
        return self.size

    def append(self, block: bytes, lines: int) -> bool:
        """Whether it was written."""
        try:
            if self._descriptor < 0:
                raise OSError(0, self.reason or "it is not open")
            _write_all(self._descriptor, block)
        except OSError as error:
            self.cut(self.size)
            self._fail(error)
            self.lost += lines
            return False
        self.size += len(block)
        return True

    def cut(self, size: int) -> None:
        """Back to this length, where an unfinished write began."""
        with contextlib.suppress(OSError):
            if self._descriptor < 0:
                self._open()
            if self.size > size or os.fstat(self._descriptor).st_size > size:
                os.ftruncate(self._descriptor, size)
                self.size = size

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        self.size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        self.close()
        for number in range(FILES_KEPT - 2, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number).replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _fail(self, error: OSError) -> None:
        self.reason = error.strerror or str(error)


def _write_all(descriptor: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
