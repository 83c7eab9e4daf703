"""The UDP forwarders of a stack: one small process for each UDP listener, told its targets by a file and SIGHUP."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import HeldSocket, ProcessSpec, Restart, Supervisor, User
from cloudlet.control.store import Instance
from cloudlet.edge.forwarder.statistics import Statistics, read_statistics

_LOOPBACK = "127.0.0.1"


class Forwarders:
    """Listeners by name, each with the socket it serves and the instances it spreads over."""

    def __init__(self, paths: StatePaths, supervisor: Supervisor, user: Callable[[str], User | None]) -> None:
        self._paths, self._supervisor, self._user = paths, supervisor, user
        self._sockets: dict[str, HeldSocket] = {}
        self._targets: dict[str, dict[str, int]] = {}

    async def apply(self, wanted: dict[str, HeldSocket]) -> None:
        """Run one forwarder for each service in `wanted`, on its socket, and no other."""
        for service in set(self._sockets) - set(wanted):
            await self._supervisor.stop(process_name(service))
            del self._sockets[service]
        running = await self._supervisor.processes()
        for service, socket in wanted.items():
            found = running.get(process_name(service))
            moved = service in self._sockets and self._sockets[service] != socket
            self._sockets[service] = socket
            if found is None or found.exit is not None or moved:
                await self._start(service)

    async def _start(self, service: str) -> None:
        self._write(service)
        self._make_counters(service)
        await self._supervisor.start(self._process(service))

    def _process(self, service: str) -> ProcessSpec:
        socket = self._sockets[service]
        name = process_name(service)
        flags = ("--socket-fd", str(socket.descriptor), "--targets", str(self._file(service)))
        counters = ("--statistics", str(self._counters(service)))
        return ProcessSpec(
            name=name,
            argv=(sys.executable, "-m", "cloudlet.edge.forwarder", *flags, *counters),
            directory=Path("/"),
            environment={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
            log=self._paths.log(name),
            user=self._user(name),
            sockets=(socket.name,),
            restart=Restart.ON_FAILURE,
            grace=2.0,
        )

    async def add(self, instance: Instance) -> None:
        self._targets.setdefault(instance.service, {})[instance.name] = instance.port
        await self._tell(instance.service)

    async def remove(self, instance: Instance) -> None:
        if self._targets.get(instance.service, {}).pop(instance.name, None) is not None:
            await self._tell(instance.service)

    async def _tell(self, service: str) -> None:
        if service in self._sockets:
            self._write(service)
            await self._supervisor.signal(process_name(service), SIGHUP)

    def _write(self, service: str) -> None:
        targets = [
            {"name": name, "host": _LOOPBACK, "port": port}
            for name, port in sorted(self._targets.get(service, {}).items())
        ]
        file = self._file(service)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({"targets": targets}))
        fresh.chmod(0o644)
        fresh.replace(file)

    def statistics(self, service: str) -> Statistics | None:
        """The counters of a service's forwarder, None when it has none."""
        return read_statistics(self._counters(service)) if service in self._sockets else None

    def _make_counters(self, service: str) -> None:
        """The forwarder may write this file and make no other."""
        file, user = self._counters(service), self._user(process_name(service))
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        if user is not None:
            os.chown(file, user.uid, user.gid)

    def _counters(self, service: str) -> Path:
        return self._paths.edge / f"udp-{service}.statistics"

    def _file(self, service: str) -> Path:
        return self._paths.edge / f"udp-{service}.json"


def process_name(service: str) -> str:
    return f"cloudlet-udp-{service}"


def is_forwarder(process: str) -> bool:
    """Whether a process of that name is a forwarder; the keeper starts one again by itself."""
    return process.startswith(process_name(""))
