"""Keeps every engine that the file needs running: provision, start, ready, admit; started again when it dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cloudlet.contracts.engine import Engine
from cloudlet.contracts.process import Exit, Process, Supervisor
from cloudlet.control.journal import Journal
from cloudlet.errors import CloudletError, EngineFailed
from cloudlet.policy.backoff import Backoff, restart_delay

#: seconds between two questions whether an engine answers yet
_READY_PAUSE = 0.03
#: seconds an engine may take to answer after its start; recovery of a large database takes long
_READY_WITHIN = 120.0


@dataclass(slots=True)
class EngineRun:
    """One engine and how it stands. `state` is initialising, starting, ready, failed or stopping."""

    engine: Engine
    kind: str
    version: str
    state: str = "initialising"
    because: str = ""
    pid: int | None = None
    started: float = 0.0
    restarts: int = 0
    deaths: list[float] = field(default_factory=list)
    settings: dict[str, int] = field(default_factory=dict)
    admitted: set[str] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    last_end: int | None = None
    #: what takes its place when it has ended, because its settings changed
    successor: EngineRun | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Engines:
    """All engines of one stack by their name in the file."""

    def __init__(
        self, journal: Journal, supervisor: Supervisor, wake: Callable[[], None], step: Callable[[str], None]
    ) -> None:
        self._journal, self._supervisor = journal, supervisor
        self._wake, self._step = wake, step
        self.runs: dict[str, EngineRun] = {}

    def ready(self, resource: str) -> bool:
        run = self.runs.get(resource)
        return run is not None and run.state == "ready"

    def begin(self, run: EngineRun, services: Iterable[str], processes: Mapping[str, Process]) -> None:
        """Bring an engine up, or take it over where it runs already, and admit the services that use it."""
        self.runs[run.engine.resource] = run
        found = processes.get(run.engine.name)
        if found is not None and found.exit is None:
            run.pid, run.started = found.pid, found.started
            self._journal.info(run.engine.name, "adopted", f"process {found.pid} runs on")
        run.admitted = set(services)
        self._launch(run)

    def admit(self, resource: str, services: Iterable[str]) -> None:
        """Let more services in; until that is done the engine counts as not ready for anyone new."""
        run = self.runs[resource]
        run.admitted = set(services)
        self._launch(run)

    def _launch(self, run: EngineRun) -> None:
        if run.task is not None:
            run.task.cancel()
        run.state = "initialising" if run.pid is None else "starting"
        run.task = asyncio.create_task(self._bring_up(run))

    async def _bring_up(self, run: EngineRun) -> None:
        while True:
            try:
                await self._start(run)
                await self._wait_ready(run)
                for service in sorted(run.admitted):
                    await run.engine.admit(service)
                    self._step(f"{service} admitted to {run.engine.name}")
                break
            except CloudletError as error:
                delay = self._count_death(run)
                self._change(run, "failed", f"{error}; tried again in {delay:.1f} s", level="error")
                await asyncio.sleep(delay)
        self._change(run, "ready", f"it answers, {time.time() - run.started:.2f} s after its start")
        self._wake()

    async def _start(self, run: EngineRun) -> None:
        if run.pid is not None:
            return
        self._change(run, "initialising", "its data folder and configuration are made ready")
        await run.engine.provision()
        self._step(f"{run.engine.name} provisioned")
        self._change(run, "starting", "its process starts")
        process = await self._supervisor.start(run.engine.process())
        self._step(f"{run.engine.name} started")
        if run.last_end == process.pid:
            raise EngineFailed(f"{run.engine.name} ended as soon as it was started; see its log")
        run.pid, run.started = process.pid, process.started
        run.ended.clear()

    async def _wait_ready(self, run: EngineRun) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while not await run.engine.ready():
            if run.pid is None:
                raise EngineFailed(f"{run.engine.name} ended before it answered; see its log")
            if time.monotonic() > deadline:
                raise EngineFailed(f"{run.engine.name} did not answer within {_READY_WITHIN:g} s; see its log")
            await asyncio.sleep(_READY_PAUSE)

    def exited(self, end: Exit) -> bool:
        """Whether this end was an engine's; one that was not asked for is mended."""
        run = next((run for run in self.runs.values() if run.engine.name == end.name), None)
        if run is None:
            return False
        if run.pid not in (None, end.pid) and end.restarted_as is None:
            return True  # the end of a process before this one, known already when cloudlet came back
        run.pid, run.last_end = end.restarted_as, end.pid
        if run.pid is None:
            run.ended.set()
        if run.state == "stopping":
            return True
        run.restarts += 1
        run.started = time.time()
        self._journal.warning(end.name, "engine ended", f"{end}; it is started again")
        if run.task is None or run.task.done():
            self._launch(run)
        self._wake()
        return True

    def _count_death(self, run: EngineRun) -> float:
        now = time.time()
        run.deaths = [*run.deaths, now][-20:]
        return max(0.2, restart_delay(Backoff(deaths=tuple(run.deaths), started=run.started), now).delay)

    def _change(self, run: EngineRun, state: str, because: str, level: str = "info") -> None:
        if (run.state, run.because) == (state, because):
            return
        run.state, run.because = state, because
        write = self._journal.error if level == "error" else self._journal.info
        write(run.engine.name, state, because)

    def replace(self, run: EngineRun, services: Iterable[str]) -> None:
        """Let another engine of the same name take the place of this one: its settings have changed."""
        old = self.runs[run.engine.resource]
        run.admitted, run.deaths, run.restarts = set(services), old.deaths, old.restarts
        old.successor = run
        self._end(old, "its settings changed")

    def stop(self, resource: str) -> None:
        """End one engine cleanly; its data stays."""
        self.runs[resource].successor = None
        self._end(self.runs[resource], "the file names it no more")

    def _end(self, run: EngineRun, because: str) -> None:
        if run.state == "stopping":
            return
        if run.task is not None:
            run.task.cancel()
        self._change(run, "stopping", because)
        run.task = asyncio.create_task(self._wait_ended(run))

    async def _wait_ended(self, run: EngineRun) -> None:
        if run.pid is not None:
            await self._supervisor.stop(run.engine.name)
            await run.ended.wait()
        del self.runs[run.engine.resource]
        if run.successor is not None:
            self.runs[run.engine.resource] = run.successor
            self._launch(run.successor)

    async def close(self) -> None:
        """Leave them running and stop looking after them."""
        for run in self.runs.values():
            if run.task is not None:
                run.task.cancel()
