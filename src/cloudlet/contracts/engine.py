"""The engines as the control plane sees them, whatever server stands behind.

construct (no side effects) → provision → start → ready → … → stop
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cloudlet.contracts.process import ProcessSpec
from cloudlet.errors import EngineMissing


@dataclass(frozen=True, slots=True)
class Binary:
    """Which program an engine would run. `source` is `environment`, `path` or `wheel`; `problem` says what is
    missing when `path` is None."""

    engine: str
    path: Path | None
    version: str
    source: str
    required: str
    problem: str = ""

    def usable(self) -> Path:
        """The program. Raises EngineMissing, with the problem, when there is none."""
        if self.path is None:
            raise EngineMissing(f"no usable binary of {self.engine}: {self.problem}")
        return self.path


@dataclass(frozen=True, slots=True)
class Address:
    """Where clients reach an engine: the edge's internal listener, never the engine's own port."""

    host: str
    port: int


class Engine(Protocol):
    """A real server under cloudlet's care. `name` is the process name, `resource` its name in the file."""

    name: str
    resource: str
    port: int

    async def provision(self) -> None:
        """Make its data folder, passwords and configuration; harmless when they exist. Slow the first time.
        Raises EngineMissing or EngineFailed."""

    def process(self) -> ProcessSpec:
        """What the keeper is to run."""

    async def ready(self) -> bool:
        """Whether it really answers a request of its own protocol, not merely accepts a connection."""

    async def admit(self, service: str) -> None:
        """Give the service a role of its own (idempotent, and it repairs a changed password)."""

    def environment(self, service: str, address: Address) -> dict[str, str]:
        """The variables an instance of `service` finds: FILE.md's table, without the aliases for a single one."""
