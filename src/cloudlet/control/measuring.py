"""What each process uses: CPU as a share of a core and memory, looked up at most once a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloudlet.runtime.usage import group_usage

#: seconds between two looks
_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Usage:
    """`cpu` is the share of one core since the look before, `memory` resident bytes."""

    cpu: float
    memory: int


class Measurements:
    """Usage by process name."""

    def __init__(self) -> None:
        self.usage: dict[str, Usage] = {}
        self._seconds: dict[int, float] = {}
        self._looked = 0.0

    def cpu(self, name: str) -> float:
        """The share of a core it uses, 0 when that is not known."""
        return self.usage[name].cpu if name in self.usage else 0.0

    def look(self, processes: Mapping[str, int], now: float) -> None:
        """Look at these processes, name to process id, if the last look is long ago; those that have gone are
        forgotten."""
        if now - self._looked < _EVERY:
            return
        elapsed = max(now - self._looked, 1e-3)
        found = group_usage(processes.values())
        self.usage = {
            name: Usage(
                cpu=max(0.0, found[pid].cpu_seconds - self._seconds.get(pid, found[pid].cpu_seconds)) / elapsed,
                memory=found[pid].memory,
            )
            for name, pid in processes.items()
            if pid in found
        }
        self._seconds = {pid: used.cpu_seconds for pid, used in found.items()}
        self._looked = now
