"""Who runs, by /proc. A process is identified by its id and its start time, since ids are used again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stat:
    """What proc_pid_stat(5) says; `started` in clock ticks since boot (field 22)."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    started: int

    @property
    def alive(self) -> bool:
        return self.state not in "ZX"


def stat(pid: int) -> Stat | None:
    """None when there is no such process."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 4096)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    fields = text.rpartition(b")")[2].split()  # the command's name before it may hold anything
    return Stat(pid, fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def runs(pid: int, started: int) -> bool:
    """Whether exactly this process still runs; a zombie does not."""
    found = stat(pid)
    return found is not None and found.alive and found.started == started


def _all() -> Iterator[Stat]:
    pids = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    for pid in pids:
        found = stat(pid)
        if found is not None and found.alive and found.session:  # threads of the kernel have none
            yield found


def _prints_to(pid: int, fifo: os.stat_result) -> bool:
    for descriptor in (1, 2):
        try:
            found = os.stat(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH116 - a Path for each costs more
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (fifo.st_dev, fifo.st_ino):
            return True
    return False


def family(leader: int, fifo: Path) -> list[int]:
    """Who is left of a process besides itself: its group, its session, and whoever still prints to its log
    (the backends of PostgreSQL have sessions of their own)."""
    try:
        target = fifo.stat()
    except OSError:
        target = None
    own = os.getpid()
    return [
        found.pid
        for found in _all()
        if found.pid not in (leader, own)
        and (leader in (found.group, found.session) or (target is not None and _prints_to(found.pid, target)))
    ]


def printers(fifo: Path) -> list[int]:
    """Whoever prints to this FIFO: certain, where a process id may have been used again."""
    try:
        target = fifo.stat()
    except OSError:
        return []
    return [found.pid for found in _all() if found.pid != os.getpid() and _prints_to(found.pid, target)]


def leader_of(fifo: Path) -> Stat | None:
    """The process started with this FIFO as its output: the eldest session leader that prints to it."""
    try:
        target = fifo.stat()
    except OSError:
        return None
    found = [one for one in _all() if one.session == one.pid and _prints_to(one.pid, target)]
    return min(found, key=lambda one: one.started, default=None)


def unix_time(ticks: int) -> float:
    """The Unix time of a process's start time."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")
