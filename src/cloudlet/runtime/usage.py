"""CPU time and memory of processes with all their descendants, from /proc.

Only what belongs to the processes asked for is read (by /proc/PID/task/TID/children), so that looking at 50
instances costs a millisecond or two however much else runs on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_READ = 4096


@dataclass(frozen=True, slots=True)
class Usage:
    """`cpu_seconds` counts since the start, ended descendants included; `memory` is resident bytes, what the
    processes share (PostgreSQL's buffers) counted once."""

    cpu_seconds: float
    memory: int


def group_usage(pids: Iterable[int]) -> dict[int, Usage]:
    """By process id; those that have ended are left out."""
    found = ((pid, _usage(pid)) for pid in pids)
    return {pid: usage for pid, usage in found if usage is not None}


def _usage(leader: int) -> Usage | None:
    ticks, own, shared = 0, 0, 0
    seen = 0
    for pid in _tree(leader):
        looked = _look(pid)
        if looked is not None:
            seen += 1
            ticks, own, shared = ticks + looked[0], own + looked[1], max(shared, looked[2])
    return Usage(ticks / _TICKS, (own + shared) * _PAGE) if seen else None


def _tree(leader: int) -> Iterable[int]:
    waiting = [leader]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting.extend(_children(pid))


def _children(pid: int) -> list[int]:
    try:
        with os.scandir(f"/proc/{pid}/task") as entries:
            threads = [entry.name for entry in entries]
    except OSError:
        return []
    texts = (_read(f"/proc/{pid}/task/{thread}/children") for thread in threads)
    return [int(word) for text in texts for word in text.split()]


def _look(pid: int) -> tuple[int, int, int] | None:
    """CPU ticks, its own resident pages, those it may share; None when it has gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    memory = _read(f"/proc/{pid}/statm").split()
    if not fields or not memory or fields[0] in (b"Z", b"X"):
        return None
    ticks = sum(int(field) for field in fields[11:15])  # utime, stime, and those of children waited for
    resident, shared = int(memory[1]), int(memory[2])
    return ticks, resident - shared, shared


def _read(path: str) -> bytes:
    """Without the layers of open(), which cost more than the read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _READ)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
