"""What the keeper knows of a process and of itself, and the file that tells its successor.

`keeper.json` is written before a process is started (without its id, so that a keeper killed in between has
its process found by its FIFO) and after every change. Mode 600: it holds the environments.
"""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cloudlet.runtime.keeper.errors import Refused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class User:
    uid: int
    gid: int
    reads_all: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """`cpu` in cores, `memory` in bytes, `files` in descriptors."""

    cpu: float | None = None
    memory: int | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """cloudlet.contracts.process.ProcessSpec, as JSON carries it."""

    name: str
    argv: list[str]
    directory: str
    environment: dict[str, str]
    log: str
    user: User | None
    sockets: list[str]
    restart: str
    restart_argv: list[str] | None
    replaces: str | None
    stop_signal: int
    grace: float
    limits: Limits
    labels: dict[str, str]

    @classmethod
    def parse(cls, wire: dict[str, Any]) -> Spec:
        """Raises Refused for a name that could not be a file's."""
        user, limits = wire["user"], wire["limits"]
        values = {one.name: wire[one.name] for one in fields(cls)}
        values |= {"user": User(**user) if user else None, "limits": Limits(**limits)}
        spec = cls(**values)
        if not _NAME.fullmatch(spec.name):
            raise Refused(f"{spec.name!r} cannot name a process: use letters, digits, '.', '_' and '-'")
        if spec.stop_signal not in signal.valid_signals():
            raise Refused(f"{spec.name} cannot be stopped by signal {spec.stop_signal}: there is no such signal")
        return spec


@dataclass(slots=True)
class Record:
    """One process. `started_ticks` identifies it together with `pid`, which is None just before it is
    started.

    `token` is the caller's, by which it can ask twice for the same start; `kill_at` (Unix time) is set while
    it is being stopped. `previous_exit` tells how it ended before the keeper started it again.
    """

    spec: Spec
    token: str
    pid: int | None = None
    started_ticks: int = 0
    started: float = 0.0
    restarts: int = 0
    restart: str = "never"
    confirmed: bool = True
    stopping: bool = False
    kill_at: float | None = None
    quick_deaths: int = 0
    groups: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    exit: dict[str, Any] | None = None
    previous_exit: dict[str, Any] | None = None

    def wire(self) -> dict[str, Any]:
        """What `processes` answers, for `to_json`."""
        return {
            "spec": self.spec,
            "pid": self.pid or 0,
            "started": self.started,
            "restarts": self.restarts,
            "warnings": self.warnings,
            "exit": self.exit,
            "previous_exit": self.previous_exit,
        }


@dataclass(slots=True)
class SocketRecord:
    """A held socket; `descriptor` is the number by which it is inherited."""

    name: str
    host: str
    port: int
    descriptor: int
    datagram: bool


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(slots=True)
class State:
    """Everything a successor needs. `next_descriptor` only grows, so no number ever means two sockets. `boot`
    names the run of the machine: after another boot the process ids mean others, and nothing of this is
    left."""

    processes: dict[str, Record] = field(default_factory=dict)
    sockets: dict[str, SocketRecord] = field(default_factory=dict)
    next_descriptor: int = 100
    boot: str = field(default_factory=_boot)

    def save(self, path: Path) -> None:
        """Raises OSError; the state before is then still there."""
        text = to_json(self)
        temporary = path.with_name(f"{path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> State:
        """An empty one when there is none. Raises ValueError or KeyError when it cannot be understood."""
        try:
            wire = json.loads(path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return cls()
        if wire["boot"] != _boot():
            return cls()
        processes = {
            name: Record(**{**record, "spec": Spec.parse(record["spec"])}) for name, record in wire["processes"].items()
        }
        sockets = {name: SocketRecord(**socket) for name, socket in wire["sockets"].items()}
        return cls(processes, sockets, wire["next_descriptor"])


def to_json(value: Any) -> str:
    """One line; any of the above may be in it."""
    return json.dumps(value, separators=(",", ":"), default=_shallow)


def _shallow(one: Any) -> dict[str, Any]:
    """Not `asdict`, which would copy every environment at every change."""
    return {name: getattr(one, name) for name in one.__slots__}
