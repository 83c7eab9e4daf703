"""Real engines in a temporary folder, as unprivileged users where the tests run as root."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cloudlet.contracts.engine import Address, Engine
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.engines.locate import survey
from cloudlet.engines.registry import build
from cloudlet.identity.secrets import Secrets

from .clients import CLIENTS, Client
from .supervisor import Running

_UID = 61190


@pytest.fixture
def paths() -> Iterator[StatePaths]:
    """A state folder that other users may pass through, which pytest's own temporary folders do not allow."""
    folder = Path(tempfile.mkdtemp(prefix="cloudlet engines '"))
    folder.chmod(0o711)
    state = StatePaths(folder / ".cloudlet")
    state.create()
    yield state
    shutil.rmtree(folder)


@pytest.fixture
def user() -> User | None:
    """Whom engines run as: somebody without an entry in /etc/passwd, as in production."""
    if os.geteuid() != 0:
        return None
    programs = [binary.path for binary in survey() if binary.path is not None]
    closed = any(not parent.stat().st_mode & stat.S_IXOTH for program in programs for parent in program.parents)
    return User(_UID, _UID, reads_all=closed)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


async def wait_until(condition: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Ask again and again; fails when it did not become true in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


class Rig:
    """An engine, its process, and a service's way to it."""

    def __init__(self, kind: str, paths: StatePaths, user: User | None) -> None:
        self.kind, self.paths, self.user = kind, paths, user
        self.secrets = Secrets(paths.secrets)
        self.client: Client = CLIENTS[kind]
        self.running: Running | None = None
        self.engine = self.another()

    def another(self, port: int | None = None) -> Engine:
        """The same engine constructed anew, as by the next cloudlet."""
        port = port or free_port()
        return build(self.kind, "shop-db", port, self.paths, self.secrets, self.user)

    async def start(self) -> Running:
        self.running = Running(self.engine.process())
        await wait_until(self._ready)
        return self.running

    async def _ready(self) -> bool:
        assert self.running is not None
        assert self.running.alive(), self.running.log()
        return await self.engine.ready()

    async def up(self) -> Running:
        await self.engine.provision()
        return await self.start()

    def url(self, service: str) -> str:
        return self.engine.environment(service, Address("127.0.0.1", self.engine.port))[self.client.variable]


@pytest.fixture
async def rigs(paths: StatePaths, user: User | None) -> AsyncIterator[Callable[[str], Rig]]:
    made: list[Rig] = []

    def make(kind: str) -> Rig:
        made.append(Rig(kind, paths, user))
        return made[-1]

    yield make
    for rig in made:
        if rig.running is not None:
            rig.running.close()
    _end_what_works_in(paths.root)


def _end_what_works_in(folder: Path) -> None:
    """A failed test may leave children that are in no group of ours; their working directory tells them."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                os.kill(int(entry.name), signal.SIGKILL)


@pytest.fixture(params=list(CLIENTS))
def rig(rigs: Callable[[str], Rig], request: pytest.FixtureRequest) -> Rig:
    """Each engine in turn."""
    return rigs(request.param)
