"""CPU time and memory of processes, from /proc. A process that has ended counts as nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def parents() -> dict[int, int]:
    """Every process's parent."""
    found = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            words = _stat(int(entry.name))
            if words:
                found[int(entry.name)] = int(words[1])
    return found


def family(root: int) -> set[int]:
    """The process and all its descendants."""
    by_process = parents()
    members = {root}
    while True:
        more = {pid for pid, parent in by_process.items() if parent in members} - members
        if not more:
            return members
        members |= more


def parent(pid: int) -> int:
    words = _stat(pid)
    if not words:
        raise ProcessLookupError(f"there is no process {pid}")
    return int(words[1])


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time together, of all threads."""
    return sum((int(words[11]) + int(words[12])) / _TICKS for pid in pids if (words := _stat(pid)))


def memory(pids: Iterable[int]) -> tuple[int, int]:
    """(PSS, RSS) in bytes: PSS shares out what several processes map, so that it adds up; RSS counts it in each."""
    proportional = resident = 0
    for pid in pids:
        for line in _read(_PROC / str(pid) / "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                proportional += int(line.split()[1]) * 1024
            elif line.startswith("Rss:"):
                resident += int(line.split()[1]) * 1024
    return proportional, resident


def core_times() -> dict[int, tuple[float, float]]:
    """(busy, stolen) seconds of each core since the machine began."""
    found = {}
    for line in _read(_PROC / "stat").splitlines():
        words = line.split()
        if words and words[0].startswith("cpu") and words[0] != "cpu":
            user, nice, system, _, _, irq, softirq, steal = (int(word) / _TICKS for word in words[1:9])
            found[int(words[0][3:])] = (user + nice + system + irq + softirq, steal)
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may hold anything: state, parent, …"""
    return _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
