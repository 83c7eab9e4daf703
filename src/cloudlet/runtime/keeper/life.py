"""One running process in the keeper's hands: its descriptors and how it is signalled."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field

from cloudlet.runtime.keeper import procfs
from cloudlet.runtime.keeper.loop import Timer
from cloudlet.runtime.keeper.output import Output
from cloudlet.runtime.keeper.record import Record


@dataclass(slots=True, eq=False)
class Life:
    """`child` is false for an adopted process, whose status nobody can read. `rest` are pidfds of those of
    its family that are still there after it; `code` and `signal` how it ended."""

    record: Record
    output: Output
    pid: int
    pidfd: int
    child: bool
    gone: bool = False
    code: int | None = None
    signal: int | None = None
    killer: Timer | None = None
    rest: set[int] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.record.spec.name

    def family(self) -> list[int]:
        return procfs.family(self.pid, self.output.fifo)

    def send(self, number: int) -> None:
        """To the process alone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> None:
        """The process, its group and session, and whoever still prints to its log."""
        if not self.gone:
            self.send(signal.SIGKILL)
        send_all(self.family(), signal.SIGKILL)

    def close(self) -> None:
        if self.killer is not None:
            self.killer.cancel()
        os.close(self.pidfd)
        for pidfd in self.rest:
            os.close(pidfd)


def send_all(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
