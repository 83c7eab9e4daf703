"""Who was refused, and who changed keys or rules: one log of its own, `audit.log`, of which nothing is sampled.

    2026-01-31T12:00:00.000000Z {"kind": "refused", "reason": "injection:sqli-union", "status": 403, "client": …}
    2026-01-31T12:00:00.000000Z {"kind": "changed", "subject": "key k1", "event": "issued to jane", "because": …}

Refusals are copied out of the edge's log, where each is always written, so that ordinary requests don't rotate them
away: five files of 10 MB, about 150,000 refusals. What was refused while no cloudlet ran is found when the next one
comes, as long as the edge's own five files still have it; where they don't, a line says from when on some are missing.
A copy is made before its place is recorded: a cloudlet killed in between leaves some lines twice, and never none. While
the copy cannot be written (a full disk) refusals wait in the edge's log, and changes are in the journal alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError

from cloudlet.contracts.paths import StatePaths
from cloudlet.control.journal import Journal
from cloudlet.control.views import Event
from cloudlet.runtime.keeper.logfile import LogFile

#: seconds between two looks at the edge's log
_PAUSE = 0.5
_CHUNK = 1024 * 1024
_FIRST = 1000
#: a line of a refusal; HAProxy writes "-" for nothing, and what clients send comes with its quotes escaped
_REFUSED = re.compile(rb'"refused":"(?!-")')
#: what the journal calls changes of rules; everything about keys begins with `key `
_CHANGES = frozenset({"applied", "list of addresses taken", "keys changed"})
_SHOWN = ("status", "client", "user", "route", "method", "host", "path", "request", "suspect")
#: log → (its file, offset) up to which it was copied
_PLACES = TypeAdapter(dict[str, tuple[str, int]])


class Audit:
    """`run` copies until it is cancelled, `close` takes a last look."""

    def __init__(self, paths: StatePaths, journal: Journal) -> None:
        self._logs, self._record = paths.logs, paths.root / "audit.json"
        self._path = paths.log("audit")
        self._file = LogFile(self._path)
        self._places = self._read_places()
        self._copying, self._writing = threading.Lock(), threading.Lock()
        self._journal, self._problem, self._told = journal, "", ""
        self._stop = journal.listen(self._changed)

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.copy)
            self._tell()
            await asyncio.sleep(_PAUSE)

    def _tell(self) -> None:
        """Whether it can be written, when that has changed."""
        problem, before = self._problem, self._told
        self._told = problem
        if problem and not before:
            self._journal.error("audit", "not written", f"{problem}; make room: refusals wait in the edge's log")
        elif before and not problem:
            self._journal.info("audit", "written again", "what had waited is copied")

    def close(self) -> None:
        self._stop()
        self.copy()
        self._file.close()

    def copy(self) -> None:
        """Every refusal that was logged since the last look."""
        with self._copying:
            before = dict(self._places)
            for log in sorted(self._logs.glob("edge*.log")):
                with contextlib.suppress(OSError):  # it is rotated at this moment; the next look finds it
                    self._copy(log)
            if self._places != before:
                self._write_places()

    def _copy(self, log: Path) -> None:
        with contextlib.ExitStack() as opened:
            for file, name, start in self._unread(log, opened):
                place, whole = self._copy_from(file.fileno(), start)
                self._places[log.name] = (name, place)
                if not whole:
                    return

    def _unread(self, log: Path, opened: contextlib.ExitStack) -> list[tuple[BinaryIO, str, int]]:
        """The files with anything new, their names and from where on, oldest first. They are opened once, because
        any of them may be another file the next moment."""
        known, offset = self._places.get(log.name, ("", 0))
        newer: dict[str, tuple[BinaryIO, str, int]] = {}
        for path in (log, *sorted(log.parent.glob(f"{log.name}.[0-9]"))):
            file = opened.enter_context(path.open("rb"))
            first = file.readline(_FIRST)
            name = _name(first)
            if name == known:
                return [(file, name, offset), *reversed(newer.values())]
            if first.endswith(b"\n") or len(first) == _FIRST:
                newer.setdefault(name, (file, name, 0))
        gap = {"kind": "gap", "because": f"{log.name} was rotated away"}
        if known and newer and not self._write((time.time(), gap)):
            return []
        return list(reversed(newer.values()))

    def _copy_from(self, descriptor: int, offset: int) -> tuple[int, bool]:
        """How far everything is copied, and whether that is the end of the last whole line."""
        while chunk := os.pread(descriptor, _CHUNK, offset):
            length = chunk.rfind(b"\n") + 1
            if not length:
                break
            if not self._write(*_refusals(chunk[:length])):
                return offset, False
            offset += length
        return offset, True

    def _changed(self, event: Event) -> None:
        if event.subject.startswith("key ") or event.event in _CHANGES:
            said = {"subject": event.subject, "event": event.event, "because": event.because}
            self._write((event.at, {"kind": "changed", **said}))

    def _write(self, *rows: tuple[float, dict[str, Any]]) -> bool:
        """Whether all of them are written."""
        block = "".join(f"{_stamp(at)} {json.dumps(row)}\n" for at, row in rows).encode()
        if not block:
            return True
        with self._writing:
            self._file.prepare(len(block))
            written = self._file.append(block, len(rows))
            self._problem = "" if written else f"{self._file.reason} at {self._path}"
            return written

    def _read_places(self) -> dict[str, tuple[str, int]]:
        try:
            return _PLACES.validate_json(self._record.read_bytes())
        except (OSError, ValidationError):
            return {}

    def _write_places(self) -> None:
        """Not synced: after a crash of the machine the worst is that lines are copied again."""
        temporary = self._record.with_suffix(".new")
        with contextlib.suppress(OSError):
            temporary.write_bytes(_PLACES.dump_json(self._places))
            temporary.replace(self._record)


def _name(first_line: bytes) -> str:
    """What tells a file from the one that had its number before: a file system gives the number of a deleted file to
    the next one, but a first line with its time to the microsecond is of one file only."""
    return hashlib.blake2b(first_line, digest_size=16).hexdigest()


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _refusals(lines: bytes) -> Iterator[tuple[float, dict[str, Any]]]:
    """Time and what is shown of every refusal in these whole lines."""
    for found in _REFUSED.finditer(lines):
        start = lines.rfind(b"\n", 0, found.start()) + 1
        stamp, _, text = lines[start : lines.index(b"\n", found.end())].decode(errors="replace").partition(" ")
        try:
            at, line = datetime.fromisoformat(stamp).timestamp(), json.loads(text)
        except ValueError:
            continue  # not the edge's own line
        shown = {name: line[name] for name in _SHOWN if name in line}
        yield at, {"kind": "refused", "reason": line["refused"], **shown}
