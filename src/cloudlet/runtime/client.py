"""The keeper as the rest of cloudlet sees it: a Supervisor that is always there.

A keeper that does not run is started; one that dies is succeeded, and what ended in between is told as soon
as the successor says so. Exits are found in two ways that agree: the keeper tells each, and every list of
processes is compared with what was known to run.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import AsyncIterator, Mapping
from typing import Any

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import Exit, HeldSocket, Process, ProcessSpec
from cloudlet.errors import DependencyError, Refused
from cloudlet.runtime import wire
from cloudlet.runtime.exits import Exits
from cloudlet.runtime.keeper.protocol import PROTOCOL
from cloudlet.runtime.launching import KeeperDied, launch
from cloudlet.runtime.link import Link, LinkLost

#: how often one question is put to successors before its asker is told
_ATTEMPTS = 3
#: seconds between two attempts to have a keeper again while nobody asks for anything
_RETRY = 0.5
#: seconds for a keeper to start and answer, and between two attempts to start it
_REACHED_WITHIN = 10.0
_PAUSE = 0.05


class KeeperClient:
    """Implements cloudlet.contracts.process.Supervisor. Made by `connect`; counts as a controller until
    `close`."""

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths
        self._link: Link | None = None
        self._linking = asyncio.Lock()
        self._closing = False
        self._relinking: asyncio.Task[None] | None = None
        self._running: dict[str, int] = {}
        self._warnings: dict[str, tuple[str, ...]] = {}
        self._listeners: weakref.WeakSet[Exits] = weakref.WeakSet()

    @classmethod
    async def connect(cls, paths: StatePaths) -> KeeperClient:
        """Connect to the keeper of this state, starting one where none answers.

        Raises DependencyError when it cannot be started, Refused when one of another version runs.
        """
        paths.create()
        client = cls(paths)
        await client._linked()
        return client

    # Supervisor

    async def start(self, spec: ProcessSpec) -> Process:
        answer = await self._ask("start", spec=wire.spec_to_wire(spec), token=wire.new_token())
        return wire.process_from_wire(answer)

    async def stop(self, name: str, grace: float | None = None) -> None:
        await self._ask("stop", name=name, grace=grace)

    async def signal(self, name: str, number: int) -> None:
        """Sent twice when the keeper dies between sending it and saying so."""
        await self._ask("signal", name=name, number=int(number))

    async def confirm(self, name: str) -> None:
        await self._ask("confirm", name=name)

    async def forget(self, name: str) -> None:
        await self._ask("forget", name=name)
        self._warnings.pop(name, None)

    async def processes(self) -> dict[str, Process]:
        found = [wire.process_from_wire(one) for one in await self._ask("processes")]
        return {process.spec.name: process for process in found}

    async def listen(self, name: str, host: str, port: int, *, datagram: bool = False) -> HeldSocket:
        return wire.socket_from_wire(await self._ask("listen", name=name, host=host, port=port, datagram=datagram))

    async def release(self, name: str) -> None:
        await self._ask("release", name=name)

    async def sockets(self) -> dict[str, HeldSocket]:
        held = [wire.socket_from_wire(one) for one in await self._ask("sockets")]
        return {socket.name: socket for socket in held}

    def exits(self) -> AsyncIterator[Exit]:
        """Every end of a process from this call on. One that the keeper could start again only later is told
        twice: when it ended, and with `restarted_as` when it was started again."""
        exits = Exits()
        self._listeners.add(exits)
        return exits

    # beyond it

    @property
    def warnings(self) -> Mapping[str, tuple[str, ...]]:
        """By process, what of its limits or its user could not be had on this machine."""
        return {name: warnings for name, warnings in self._warnings.items() if warnings}

    async def limit(self, name: str, cpu: float | None, memory: int | None) -> tuple[str, ...]:
        """Change the limits of a running process (cores, bytes; None for none); warnings."""
        return tuple((await self._ask("limit", name=name, cpu=cpu, memory=memory))["warnings"])

    async def shutdown(self, *, force: bool = False) -> None:
        """End the keeper; with `force` everything it runs first. Raises Refused when something runs."""
        await self._linked()
        self._closing = True
        link = self._link
        assert link is not None
        try:
            await link.ask("shutdown", force=force)
            await link.ended()
        except LinkLost:
            pass
        except Refused:
            self._closing = False
            raise

    async def close(self) -> None:
        """Leave the keeper and all it keeps alone."""
        self._closing = True
        if self._relinking is not None:
            self._relinking.cancel()
            await asyncio.wait([self._relinking])
        if self._link is not None:
            await self._link.close()
        for exits in tuple(self._listeners):
            exits.end()

    # the link

    async def _ask(self, operation: str, **parameters: Any) -> Any:
        for _ in range(_ATTEMPTS):
            link = await self._linked()
            with contextlib.suppress(LinkLost):
                return await link.ask(operation, **parameters)
        raise DependencyError(
            f"the keeper died {_ATTEMPTS} times over {operation!r}; {self._paths.logs / 'keeper.log'} says why"
        )

    async def _linked(self) -> Link:
        async with self._linking:
            if self._closing:
                raise Refused("this connection to the keeper was closed")
            if self._link is None or not self._link.alive:
                self._link = await self._open()
            return self._link

    async def _open(self) -> Link:
        for _ in range(_ATTEMPTS):
            link = await self._reach()
            try:
                await self._greet(link)
                return link
            except LinkLost:
                continue
            except Refused:
                await link.close()
                raise
        raise DependencyError(f"the keeper dies as soon as it answers; {self._paths.logs / 'keeper.log'} says why")

    async def _greet(self, link: Link) -> None:
        hello = await link.ask("ping")
        if hello["protocol"] != PROTOCOL:
            raise Refused(
                f"the keeper of {self._paths.root} is of cloudlet {hello['version']}, which speaks otherwise;"
                f" run `cloudlet down` with that version first"
            )
        await link.ask("attach")
        await link.ask("processes")

    async def _reach(self) -> Link:
        """Connect, starting a keeper as often as it takes: one may be killed as it starts, or be another
        caller's that holds the lock and does not listen yet."""
        deadline = time.monotonic() + _REACHED_WITHIN
        problem: Exception | None = None
        while True:
            try:
                return await Link.open(self._paths.keeper_socket, self._observe, self._lost)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise DependencyError(
                        f"no keeper answers on {self._paths.keeper_socket}: {problem or error.strerror}"
                    ) from error
            try:
                await launch(self._paths)
            except KeeperDied as error:
                problem = error
            await asyncio.sleep(_PAUSE if problem else _PAUSE / 10)

    def _lost(self) -> None:
        if not self._closing and (self._relinking is None or self._relinking.done()):
            self._relinking = asyncio.create_task(self._relink())

    async def _relink(self) -> None:
        while not self._closing:
            with contextlib.suppress(DependencyError, Refused):
                await self._linked()
                return
            await asyncio.sleep(_RETRY)

    # what is observed

    def _observe(self, operation: str, answer: Any) -> None:
        if operation == "exit":
            self._observe_exit(wire.exit_from_wire(answer))
        elif operation in ("start", "limit"):
            self._observe_process(answer)
        elif operation == "processes":
            self._compare({process["spec"]["name"]: process for process in answer})

    def _observe_exit(self, end: Exit) -> None:
        if end.restarted_as is not None:
            self._running[end.name] = end.restarted_as
        else:
            self._running.pop(end.name, None)
        for exits in tuple(self._listeners):
            exits.put(end)

    def _observe_process(self, process: dict[str, Any]) -> None:
        name = process["spec"]["name"]
        self._warnings[name] = tuple(process["warnings"])
        if process["exit"] is None:
            self._running[name] = process["pid"]

    def _compare(self, processes: dict[str, dict[str, Any]]) -> None:
        """Tell what ended unseen. Whatever the keeper has told already is not among the running any more."""
        for name, pid in tuple(self._running.items()):
            end = _unseen_end(name, pid, processes.get(name))
            if end is not None:
                self._observe_exit(end)
        for process in processes.values():
            self._observe_process(process)


def _unseen_end(name: str, pid: int, process: dict[str, Any] | None) -> Exit | None:
    if process is None:
        return Exit(name, pid, None, None, 0.0)
    if process["exit"] is not None:
        return wire.exit_from_wire(process["exit"])
    if process["pid"] == pid:
        return None
    before = process["previous_exit"]
    if before is not None and before["pid"] == pid:
        return wire.exit_from_wire(before)
    return Exit(name, pid, None, None, process["started"], restarted_as=process["pid"])
