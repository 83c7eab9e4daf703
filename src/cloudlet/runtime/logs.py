"""Logs read back: the last lines over rotated files, and what is added from then on, several logs in one
order.

A line is `2026-01-31T12:00:00.000000Z text`, as the keeper writes it; NAME.log is the newest file, NAME.log.1
the one before.
"""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

#: seconds between two looks at files that are followed
_PAUSE = 0.1
_CHUNK = 64 * 1024
#: so that one instance that floods its log does not hold up the others
_CHUNKS_A_LOOK = 16


@dataclass(frozen=True, slots=True)
class LogLine:
    """What an instance printed; `at` is the Unix time at which the keeper read it."""

    instance: str
    at: float
    text: str


def tail(files: Mapping[str, Path], count: int) -> list[LogLine]:
    """The last `count` lines of all these logs together (instance → its NAME.log), by time."""
    readers = [_Reader(name, path) for name, path in files.items()]
    try:
        return _last(readers, count)
    finally:
        for reader in readers:
            reader.close()


async def follow(files: Mapping[str, Path], count: int) -> AsyncIterator[LogLine]:
    """The last `count` lines, then every line that is added, without a gap between; over rotations, without
    end."""
    readers = [_Reader(name, path) for name, path in files.items()]
    try:
        for line in _last(readers, count):
            yield line
        while True:
            for line in _added(readers):
                yield line
            await asyncio.sleep(_PAUSE)
    finally:
        for reader in readers:
            reader.close()


def _last(readers: Iterable[_Reader], count: int) -> list[LogLine]:
    merged = heapq.merge(*(reader.last(count) for reader in readers), key=_time)
    return list(merged)[-count:] if count else []


def _added(readers: Iterable[_Reader]) -> list[LogLine]:
    return list(heapq.merge(*(reader.added() for reader in readers), key=_time))


def _time(line: LogLine) -> float:
    return line.at


class _Reader:
    """One log, read on from where it stands. It keeps its file open, so that a rotation takes nothing from
    it."""

    def __init__(self, name: str, path: Path) -> None:
        self._name, self._path = name, path
        self._descriptor = -1
        self._rest = b""

    def last(self, count: int) -> list[LogLine]:
        """The last lines that are there now; `added` goes on behind them."""
        if not self._open(self._path):
            return []
        size = os.fstat(self._descriptor).st_size
        blocks = [_last_lines(self._descriptor, size, count)]
        os.lseek(self._descriptor, size, os.SEEK_SET)
        for path in _older(self._path):
            missing = count - sum(block.count(b"\n") for block in blocks)
            if missing <= 0:
                break
            blocks.append(_last_lines_of(path, missing))
        whole, _, self._rest = b"".join(reversed(blocks)).rpartition(b"\n")
        return list(self._parse(whole.split(b"\n")))[-count:] if count and whole else []

    def added(self) -> list[LogLine]:
        """What came since, from every file begun meanwhile."""
        newer = self._newer()  # first: a file that is not the newest any more gets no more lines
        lines, whole = self._read()
        for path, identity in newer:
            if not whole or not self._open(path, identity):
                break
            more, whole = self._read()
            lines += more
        return lines

    def _newer(self) -> list[tuple[Path, tuple[int, int]]]:
        """The files begun after the one that is open, oldest first."""
        own = _identity(os.fstat(self._descriptor)) if self._descriptor >= 0 else None
        newer: list[tuple[Path, tuple[int, int]]] = []
        for path in _newest_first(self._path):
            try:
                identity = _identity(path.stat())
            except FileNotFoundError:
                continue
            if identity == own:
                break
            newer.append((path, identity))
        return newer[::-1]

    def _open(self, path: Path, identity: tuple[int, int] | None = None) -> bool:
        """Whether it is there, and still the file that was meant."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        if identity not in (None, _identity(os.fstat(descriptor))):
            os.close(descriptor)
            return False
        self.close()
        self._descriptor = descriptor
        return True

    def _read(self) -> tuple[list[LogLine], bool]:
        """What can be read, and whether that is all of it."""
        lines: list[LogLine] = []
        if self._descriptor < 0:
            return lines, True
        for _ in range(_CHUNKS_A_LOOK):
            chunk = os.read(self._descriptor, _CHUNK)
            if not chunk:
                return lines, True
            *texts, self._rest = (self._rest + chunk).split(b"\n")
            lines.extend(self._parse(texts))
        return lines, False

    def _parse(self, lines: Iterable[bytes]) -> Iterator[LogLine]:
        for line in lines:
            stamp, _, text = line.decode(errors="replace").partition(" ")
            try:
                at = datetime.fromisoformat(stamp).timestamp()
            except ValueError:
                continue  # not the keeper's: an unfinished write of a machine that went down
            yield LogLine(self._name, at, text)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _newest_first(path: Path) -> Iterator[Path]:
    yield path
    yield from _older(path)


def _older(path: Path) -> list[Path]:
    """The rotated files, newest first."""
    numbered = [
        (int(found.suffix[1:]), found) for found in path.parent.glob(f"{path.name}.*") if found.suffix[1:].isdigit()
    ]
    return [found for _, found in sorted(numbered)]


def _last_lines_of(path: Path, count: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return _last_lines(descriptor, os.fstat(descriptor).st_size, count)
    finally:
        os.close(descriptor)


def _last_lines(descriptor: int, size: int, count: int) -> bytes:
    """At least the last `count` lines before `size`, whole ones, and an unfinished one behind them."""
    start, text = size, b""
    while start and text.count(b"\n") <= count:
        start = max(0, start - _CHUNK)
        text = os.pread(descriptor, size - start, start)
    return text if not start else text.partition(b"\n")[2]
