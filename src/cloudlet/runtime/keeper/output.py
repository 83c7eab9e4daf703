"""What one process prints: from its FIFO through the spool to its log, each line with the time it was read.

The process holds the FIFO open for reading and writing, so that with no keeper there it neither gets SIGPIPE
nor loses anything: it fills the pipe, and waits when that is full. The keeper does the same, so it never sees
an end of file that a dying process would repeat for ever. One thing is lost: what a process printed last when
it ends while no keeper is there, since a pipe that nobody has open forgets what is in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path

from cloudlet.runtime.keeper.logfile import ROTATE_AT, LogFile
from cloudlet.runtime.keeper.loop import say
from cloudlet.runtime.keeper.spool import Spool

#: bytes; a longer line is split
LONGEST_LINE = 16 * 1024
#: bytes a process can print ahead of the keeper, or without one
_PIPE_SIZE = 1024 * 1024
#: reads in one turn, so that a process that prints without end leaves the others their share
_READS_A_TURN = 4


class Output:
    """The FIFO of one process and where it leads."""

    def __init__(self, run: Path, name: str, log: Path, *, rotate_at: int = ROTATE_AT) -> None:
        self.fifo = run / f"{name}.fifo"
        self._log = LogFile(log, rotate_at)
        self._spool = Spool(run / f"{name}.spool")
        self.descriptor = self._open()
        self._log.prepare(0)  # it is there from the start, for whoever wants to follow it
        self._recover()

    def _open(self) -> int:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.fifo, 0o600)
        descriptor = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(0, f"{self.fifo} is not a FIFO; remove it")
        with contextlib.suppress(OSError):  # the system's quota of pipe memory is used up
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        return descriptor

    def _recover(self) -> None:
        if self._spool.recovered_offset is not None:
            self._log.cut(self._spool.recovered_offset)
        self._write()

    def pump(self) -> None:
        """Write what was printed, a fair share of it."""
        for _ in range(_READS_A_TURN):
            if not self._spool.fill(self.descriptor):
                return
            self._write()

    def note(self, message: str) -> None:
        """A line of the keeper's own, after whatever the process printed before."""
        self.drain()
        block = _stamped(f"[cloudlet] {message}\n".encode())
        self._log.prepare(len(block))
        self._log.append(block, 1)

    def drain(self) -> None:
        """Write everything that was printed so far, an unfinished last line too."""
        while self._spool.fill(self.descriptor):
            self._write()
        self._write_block(len(self._spool.pending()))

    def finish(self) -> None:
        """The process is gone: the rest is written, the FIFO removed."""
        self.drain()
        os.close(self.descriptor)
        self.fifo.unlink(missing_ok=True)
        self._spool.close(remove=True)
        self._log.close()

    def _write(self) -> None:
        while length := _complete(self._spool.pending()):
            self._write_block(length)

    def _write_block(self, length: int) -> None:
        if not length:
            return
        block = _stamped(self._spool.pending()[:length])
        offset = self._log.prepare(len(block))
        self._spool.begin(length, offset)
        self._append(block)
        self._spool.done(length)

    def _append(self, block: bytes) -> None:
        lost, lines = self._log.lost, block.count(b"\n")
        if lost:
            apology = f"[cloudlet] {lost} lines were lost here: {self._log.reason}\n".encode()
            block = _stamped(apology) + block
        if self._log.append(block, lines):
            self._log.lost = 0
        elif not lost:
            say(f"{self.fifo.stem}: its log cannot be written and loses lines: {self._log.reason}")


def _complete(pending: bytes) -> int:
    """How many of these bytes are whole lines, or pieces of one that is too long."""
    length = pending.rfind(b"\n") + 1
    return length or len(pending) // LONGEST_LINE * LONGEST_LINE


def _stamped(text: bytes) -> bytes:
    """Each line after its time, RFC 3339 in UTC with microseconds."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z "
    prefix = stamp.encode()
    lines = text.removesuffix(b"\n").split(b"\n")
    if max(map(len, lines)) > LONGEST_LINE:
        lines = [piece for line in lines for piece in _split(line)]
    return prefix + (b"\n" + prefix).join(lines) + b"\n"


def _split(line: bytes) -> list[bytes]:
    return [line[at : at + LONGEST_LINE] for at in range(0, len(line), LONGEST_LINE)] or [b""]
