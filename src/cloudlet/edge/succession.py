"""Starts an edge process, alone or in succession to one that runs.

The successor inherits the sockets that the keeper holds, binds its own, and only then tells its predecessor to finish
(`-sf`): both accept from the same queue meanwhile, so no connection is refused. One whose configuration is broken ends
before that and leaves the predecessor serving.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from signal import SIGUSR1

from cloudlet.contracts.process import Limits, Process, ProcessSpec, Restart, Supervisor, User
from cloudlet.edge.generation import Generation
from cloudlet.edge.rendered import CONFIGURATION
from cloudlet.edge.settings import file_limit
from cloudlet.edge.socket import RuntimeSocket
from cloudlet.errors import EngineFailed

#: seconds a process gets until it answers; 30 ms is usual, some hundred with many certificates
_START = 15.0
#: seconds the keeper gets to have written what a process that failed has said
_SAID = 1.0
_LOOK = 0.005
_ALERT = "[ALERT]"


class Starter:
    """Starts generations with the keeper. `log` is where their standard output goes."""

    def __init__(self, supervisor: Supervisor, binary: Path, user: User | None, log: Path) -> None:
        self._supervisor, self._binary, self._user, self._log = supervisor, binary, user, log

    async def start(self, generation: Generation, sockets: tuple[str, ...], predecessor: Process | None) -> Process:
        """Returns when it serves and, where there is a predecessor, that one has been told to finish.

        Raises EngineFailed with HAProxy's own alerts when it does not start.
        """
        already_said = self._log.stat().st_size if self._log.exists() else 0
        process = await self._supervisor.start(self._spec(generation, sockets, predecessor))
        try:
            await self._wait_answer(generation)
        except EngineFailed as error:
            await self._abandon(generation)
            alerts = await self._alerts(already_said)
            raise EngineFailed(f"{error}; {alerts}" if alerts else str(error)) from error
        if predecessor is not None:
            await self._supervisor.confirm(generation.name)
        return process

    def _spec(self, generation: Generation, sockets: tuple[str, ...], before: Process | None) -> ProcessSpec:
        command = (str(self._binary), "-db", "-f", str(generation.folder / CONFIGURATION))
        return ProcessSpec(
            name=generation.name,
            argv=(*command, "-sf", str(before.pid)) if before else command,
            restart_argv=command,
            directory=generation.folder,
            environment={"PATH": "/usr/bin:/bin", **generation.settings.environment()},
            log=self._log,
            user=self._user,
            sockets=sockets,
            restart=Restart.ON_FAILURE,
            replaces=before.spec.name if before else None,
            stop_signal=SIGUSR1,
            grace=5.0,
            limits=Limits(files=file_limit()),
        )

    async def _wait_answer(self, generation: Generation) -> None:
        deadline = time.monotonic() + _START
        socket = RuntimeSocket(generation.settings.socket, patience=0.0)
        while True:
            process = (await self._supervisor.processes()).get(generation.name)
            if process is None or process.exit is not None or process.restarts:
                how = process.exit if process and process.exit else "ended at once"
                raise EngineFailed(f"haproxy did not start with {generation.folder / CONFIGURATION}: {how}")
            try:
                await socket.ask("show info")
                return
            except EngineFailed:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(_LOOK)

    async def _abandon(self, generation: Generation) -> None:
        """The process has ended or is of no use; wait until the keeper lets its name go."""
        deadline = time.monotonic() + _SAID
        stopped = False
        while time.monotonic() < deadline:
            process = (await self._supervisor.processes()).get(generation.name)
            if process is None:
                return
            if process.exit is not None:
                await self._supervisor.forget(generation.name)
                return
            if not stopped:
                await self._supervisor.stop(generation.name, grace=0.0)
                stopped = True
            await asyncio.sleep(_LOOK)

    async def _alerts(self, already_said: int) -> str:
        deadline = time.monotonic() + _SAID
        while True:
            lines = _tail(self._log, already_said)
            alerts = [line.partition(_ALERT)[2].partition(") : ")[2].strip() for line in lines if _ALERT in line]
            if alerts or time.monotonic() >= deadline:
                return " | ".join(dict.fromkeys(alerts))
            await asyncio.sleep(_LOOK)


def _tail(log: Path, offset: int) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
