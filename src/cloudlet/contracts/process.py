"""Processes as the keeper runs them: what is asked for, what is seen, and the protocol to ask by.

A name is unique within a stack (`orders-2`, `postgres-shop-db`, `edge-7`); starting a name that still runs is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from signal import SIGTERM
from typing import Protocol


class Restart(StrEnum):
    """What the keeper does by itself when a process ends; `control` decides the rest."""

    NEVER = "never"
    #: only while no controller is attached (cloudlet is dead): it restarts at once, then with growing delay
    UNATTENDED = "unattended"
    #: always at once when it was killed or exited non-zero (HAProxy, which must be back within 50 ms)
    ON_FAILURE = "on-failure"


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits by cgroup: `cpu` in cores, `memory` in bytes; `files` is RLIMIT_NOFILE. None is no limit."""

    cpu: float | None = None
    memory: int | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True)
class User:
    """Whom a process runs as when cloudlet is root.

    `reads_all` keeps the one capability CAP_DAC_READ_SEARCH, for when the program or its folder lies below a
    folder that the user may not pass through; still far less than root.
    """

    uid: int
    gid: int
    reads_all: bool = False


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run, and how to end it. Never put a secret in `argv`: it shows in `ps`; `environment` does not."""

    name: str
    argv: tuple[str, ...]
    directory: Path
    #: the whole environment; nothing is inherited
    environment: Mapping[str, str]
    #: standard output and standard error, each line prefixed with its time, rotated
    log: Path
    user: User | None = None
    #: names of held sockets the process inherits, each under its own fixed descriptor number
    sockets: tuple[str, ...] = ()
    restart: Restart = Restart.UNATTENDED
    #: the command when the keeper restarts it, where that differs (HAProxy without `-sf`)
    restart_argv: tuple[str, ...] | None = None
    #: the process this one takes over from: until `confirm`, this one is not restarted and that one still is
    replaces: str | None = None
    stop_signal: int = SIGTERM
    #: seconds from `stop_signal` to SIGKILL for the whole process group
    grace: float = 10.0
    limits: Limits = Limits()
    #: carried along unread, given back by `processes`
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. Exactly one of `code` and `signal` is set, neither when it was adopted (nobody could
    read its status). `at` is Unix time in seconds; `restarted_as` the new process id when the keeper restarted it."""

    name: str
    pid: int
    code: int | None
    signal: int | None
    at: float
    restarted_as: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"killed by signal {self.signal}"
        return f"exited with status {self.code}" if self.code is not None else "ended, its status unknown"


@dataclass(frozen=True, slots=True)
class Process:
    """A process as the keeper knows it: running while `exit` is None. `started` is Unix time in seconds."""

    spec: ProcessSpec
    pid: int
    started: float
    restarts: int = 0
    exit: Exit | None = None


@dataclass(frozen=True, slots=True)
class HeldSocket:
    """A listening TCP (or bound UDP) socket that the keeper holds, so that it outlives who serves it.

    `descriptor` is the number under which every process that asks for it inherits it.
    """

    name: str
    host: str
    port: int
    descriptor: int
    datagram: bool = False


class Supervisor(Protocol):
    """Who runs processes: the keeper, asked through its socket."""

    async def start(self, spec: ProcessSpec) -> Process:
        """Start it; returns once it is executed. Raises Refused for a name that still runs, OperatorError
        when the command or the directory cannot be executed or entered."""

    async def stop(self, name: str, grace: float | None = None) -> None:
        """Begin to end the process group: stop signal, then SIGKILL after `grace` seconds. Its `Exit` tells the
        end; the keeper carries it through even when the caller dies."""

    async def signal(self, name: str, number: int) -> None:
        """Send a signal to the process alone."""

    async def confirm(self, name: str) -> None:
        """The successor works: it is restarted from now on, and the one it replaces no more."""

    async def forget(self, name: str) -> None:
        """Drop the record of a process that ended."""

    async def processes(self) -> dict[str, Process]:
        """All processes, running or ended and not forgotten, by name."""

    async def listen(self, name: str, host: str, port: int, *, datagram: bool = False) -> HeldSocket:
        """Hold a socket under this name; the same name and address again gives the same socket. Port 0 picks one.
        Raises Refused when the address is taken."""

    async def release(self, name: str) -> None:
        """Close a held socket; a process that inherited it keeps it."""

    async def sockets(self) -> dict[str, HeldSocket]:
        """All held sockets by name."""

    def exits(self) -> AsyncIterator[Exit]:
        """Every end of a process from now on."""
