"""A small real supervisor for the tests of the edge: real processes, real held sockets, restart on failure."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from cloudlet.contracts.process import Exit, HeldSocket, Process, ProcessSpec, Restart
from cloudlet.errors import Refused

_FIRST_DESCRIPTOR = 100


class LocalSupervisor:
    """Implements contracts.process.Supervisor in this process; `close` ends everything it started."""

    def __init__(self) -> None:
        self._processes: dict[str, Process] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._waiting: set[asyncio.Task[None]] = set()
        self._listening: dict[str, tuple[socket.socket, HeldSocket]] = {}
        self._exits: list[asyncio.Queue[Exit]] = []
        self._unconfirmed: set[str] = set()

    async def start(self, spec: ProcessSpec) -> Process:
        if spec.name in self._running:
            raise Refused(f"{spec.name} still runs")
        if spec.replaces is not None:
            self._unconfirmed.add(spec.name)
        return self._launch(spec, spec.argv, 0)

    def _launch(self, spec: ProcessSpec, argv: tuple[str, ...], restarts: int) -> Process:
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        with spec.log.open("ab") as log:
            child = subprocess.Popen(
                argv,
                cwd=spec.directory,
                env=dict(spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._listening[name][1].descriptor for name in spec.sockets],
                start_new_session=True,
                user=spec.user.uid if spec.user else None,
                group=spec.user.gid if spec.user else None,
                extra_groups=[] if spec.user else None,
            )
        process = Process(spec, child.pid, time.time(), restarts)
        self._processes[spec.name], self._running[spec.name] = process, child
        task = asyncio.create_task(self._watch(spec.name, child))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return process

    async def _watch(self, name: str, child: subprocess.Popen[bytes]) -> None:
        descriptor = os.pidfd_open(child.pid)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        self._ended(name, child.wait(), child.pid)

    def _ended(self, name: str, status: int, pid: int) -> None:
        process = self._processes[name]
        del self._running[name]
        end = Exit(name, pid, status if status >= 0 else None, -status if status < 0 else None, time.time())
        spec = process.spec
        if status != 0 and spec.restart is Restart.ON_FAILURE and name not in self._unconfirmed:
            again = self._launch(spec, spec.restart_argv or spec.argv, process.restarts + 1)
            end = replace(end, restarted_as=again.pid)
        else:
            self._processes[name] = replace(process, exit=end)
        for queue in self._exits:
            queue.put_nowait(end)

    async def stop(self, name: str, grace: float | None = None) -> None:
        process = self._processes[name]
        self._unconfirmed.add(name)  # it is to stay ended
        if name in self._running:
            os.killpg(process.pid, signal.SIGKILL if grace == 0 else process.spec.stop_signal)

    async def signal(self, name: str, number: int) -> None:
        os.kill(self._processes[name].pid, number)

    async def confirm(self, name: str) -> None:
        self._unconfirmed.discard(name)
        replaced = self._processes[name].spec.replaces
        if replaced is not None:
            self._unconfirmed.add(replaced)

    async def forget(self, name: str) -> None:
        self._processes.pop(name, None)

    async def processes(self) -> dict[str, Process]:
        return dict(self._processes)

    async def listen(self, name: str, host: str, port: int, *, datagram: bool = False) -> HeldSocket:
        if name in self._listening:
            return self._listening[name][1]
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((host, port))
            opened.listen(1024)
            number = fcntl.fcntl(opened.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
        held = HeldSocket(name, host, socket.socket(fileno=os.dup(number)).getsockname()[1], number)
        self._listening[name] = (socket.socket(fileno=number), held)
        return held

    async def release(self, name: str) -> None:
        opened, _ = self._listening.pop(name)
        opened.close()

    async def sockets(self) -> dict[str, HeldSocket]:
        return {name: held for name, (_, held) in self._listening.items()}

    async def exits(self) -> AsyncIterator[Exit]:
        queue: asyncio.Queue[Exit] = asyncio.Queue()
        self._exits.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._exits.remove(queue)

    async def close(self) -> None:
        for name in tuple(self._running):
            self._unconfirmed.add(name)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._processes[name].pid, signal.SIGKILL)
        await asyncio.gather(*self._waiting)
        for name in tuple(self._listening):
            await self.release(name)
