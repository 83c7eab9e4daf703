"""The UDP forwarders of a stack: one small process for each UDP listener, told its targets by a file and SIGHUP.

The targets are those that the record says serve, looked up at every change: a cloudlet that adopts them knows no less.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import HeldSocket, ProcessSpec, Restart, Supervisor, User
from cloudlet.control.store import Instance
from cloudlet.edge.forwarder.statistics import read_statistics
from cloudlet.errors import DependencyError, Refused

_LOOPBACK = "127.0.0.1"
#: seconds from SIGTERM to SIGKILL, until a forwarder that was stopped must have ended, and between two looks
_GRACE = 2.0
_ENDED_WITHIN = 5.0
_LOOK = 0.01


@dataclass(frozen=True, slots=True)
class Datagrams:
    """A UDP listener: its socket, and the service whose instances it spreads over."""

    service: str
    socket: HeldSocket


class Forwarders:
    """UDP listeners by name. `serving` gives the ports of a service's serving instances, by instance."""

    def __init__(
        self,
        paths: StatePaths,
        supervisor: Supervisor,
        user: Callable[[str], User | None],
        serving: Callable[[str], Mapping[str, int]],
    ) -> None:
        self._paths, self._supervisor, self._user, self._serving = paths, supervisor, user, serving
        self._listeners: dict[str, Datagrams] = {}
        #: the ports of instances that get nothing more, though their record may still say that they serve
        self._withdrawn: dict[str, int] = {}

    async def apply(self, wanted: Mapping[str, Datagrams]) -> None:
        """Run one forwarder for each listener in `wanted`, on its socket, and no other."""
        running = await self._supervisor.processes()
        names = {process_name(listener) for listener in wanted}
        for name in filter(is_forwarder, set(running) - names):
            await self._end(name)
        self._listeners = dict(wanted)
        for listener in wanted:
            spec = self._process(listener)
            found = running.get(spec.name)
            if found is not None and (found.spec.sockets, found.spec.argv) != (spec.sockets, spec.argv):
                await self._end(spec.name)
                found = None
            if found is None or found.exit is not None:
                self._write(listener)
                self._make_counters(listener)
                await self._supervisor.start(spec)
            else:
                self._write(listener)
                await self._say(listener)

    async def _end(self, name: str) -> None:
        """Stop it and return when it has ended: the keeper starts no name that still runs."""
        await self._supervisor.stop(name)
        try:
            async with asyncio.timeout(_ENDED_WITHIN):
                while (found := (await self._supervisor.processes()).get(name)) and found.exit is None:
                    await asyncio.sleep(_LOOK)
        except TimeoutError as error:
            raise DependencyError(f"{name} did not end within {_ENDED_WITHIN:.0f} s; it is tried again") from error
        if found is not None:
            await self._supervisor.forget(name)

    def _process(self, listener: str) -> ProcessSpec:
        socket, name = self._listeners[listener].socket, process_name(listener)
        flags = ("--socket-fd", str(socket.descriptor), "--targets", str(self._file(listener)))
        counters = ("--statistics", str(self._counters(listener)))
        return ProcessSpec(
            name=name,
            argv=(sys.executable, "-m", "cloudlet.edge.forwarder", *flags, *counters),
            directory=Path("/"),
            environment={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
            log=self._paths.log(name),
            user=self._user(name),
            sockets=(socket.name,),
            restart=Restart.ON_FAILURE,
            grace=_GRACE,
        )

    async def add(self, instance: Instance) -> None:
        self._withdrawn.pop(instance.name, None)
        await self._tell(instance.service)

    async def remove(self, instance: Instance) -> None:
        self._withdrawn[instance.name] = instance.port
        await self._tell(instance.service)

    async def _tell(self, service: str) -> None:
        for listener in self._of(service):
            self._write(listener)
        for listener in self._of(service):
            await self._say(listener)

    async def _say(self, listener: str) -> None:
        """That the targets have changed; one that is just being started again reads them by itself."""
        with contextlib.suppress(Refused):
            await self._supervisor.signal(process_name(listener), SIGHUP)

    def _of(self, service: str) -> list[str]:
        return [name for name, listener in self._listeners.items() if listener.service == service]

    def _write(self, listener: str) -> None:
        serving = self._serving(self._listeners[listener].service).items()
        targets = [
            {"name": name, "host": _LOOPBACK, "port": port}
            for name, port in sorted(serving)
            if self._withdrawn.get(name) != port
        ]
        file = self._file(listener)
        fresh = file.with_suffix(".new")
        try:
            fresh.write_text(json.dumps({"targets": targets}))
            fresh.chmod(0o644)
            fresh.replace(file)
        except OSError as error:
            raise DependencyError(f"cannot write {file}: {error.strerror}; make room or give it back") from error

    def datagrams(self, service: str) -> int | None:
        """How many a service's forwarders were sent, None when it has none."""
        listeners = self._of(service)
        if not listeners:
            return None
        found = [read_statistics(self._counters(listener)) for listener in listeners]
        return sum(statistics.datagrams_in for statistics in found if statistics is not None)

    def _make_counters(self, listener: str) -> None:
        """The forwarder may write this file and make no other."""
        file, user = self._counters(listener), self._user(process_name(listener))
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        if user is not None:
            os.chown(file, user.uid, user.gid)

    def _counters(self, listener: str) -> Path:
        return self._paths.edge / f"udp-{listener}.statistics"

    def _file(self, listener: str) -> Path:
        return self._paths.edge / f"udp-{listener}.json"


def process_name(listener: str) -> str:
    return f"cloudlet-udp-{listener}"


def is_forwarder(process: str) -> bool:
    """Whether a process of that name is a forwarder; the keeper starts one again by itself."""
    return process.startswith(process_name(""))
