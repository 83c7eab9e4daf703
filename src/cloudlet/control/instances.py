"""The instances of every service: their record, and each step that moves one on.

A step writes its intention to the store first and can be repeated: whatever is found after an interruption is adopted
(`adopt`) and decided anew. `step(label)` is called between the parts of a step; tests interrupt there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Protocol

from cloudlet.contracts.process import Exit, Process, ProcessSpec, Supervisor
from cloudlet.control.journal import Journal
from cloudlet.control.store import Instance, Store
from cloudlet.errors import CloudletError, DependencyError, OperatorError
from cloudlet.policy.backoff import Backoff, crash_looping, restart_delay
from cloudlet.policy.lifecycle import ALIVE, Action, GiveUp, Phase, Resume, Retire, Start, Stop

#: unexpected ends remembered for each instance, more than any crash-loop rule looks at
_DEATHS_KEPT = 20
SERVICE_LABEL = "service"
#: the phases in which each action still makes sense
_APPLIES: dict[type[Action], frozenset[Phase]] = {
    Resume: frozenset({Phase.BACKOFF}),
    GiveUp: frozenset({Phase.STARTING}),
    Retire: ALIVE,
    Stop: frozenset({Phase.DRAINING}),
}


class Announcer(Protocol):
    """Who lets traffic reach an instance: the edge, a UDP forwarder, or nobody for a worker."""

    async def announce(self, instance: Instance) -> None:
        """Give it traffic."""

    async def withdraw(self, instance: Instance) -> None:
        """Give it no new traffic, let it finish what it has."""

    async def fail(self, instance: Instance) -> None:
        """It is dead: give it nothing, now."""

    async def remove(self, instance: Instance) -> None:
        """Forget it."""


class Launcher(Protocol):
    """Who knows how an instance is run and when it is ready."""

    def process(self, instance: Instance) -> ProcessSpec:
        """What the keeper is to run."""

    async def ready(self, instance: Instance) -> None:
        """Return when it answers as its service says it should."""

    def port(self) -> int:
        """A free port for a new process."""

    def revision(self, service: str) -> str:
        """The revision that a new instance of the service gets."""


class Instances:
    """All instances of one stack by name."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        supervisor: Supervisor,
        launcher: Launcher,
        announcer: Announcer,
        wake: Callable[[], None],
        step: Callable[[str], None],
    ) -> None:
        self._store, self._journal, self._supervisor = store, journal, supervisor
        self._launcher, self._announcer = launcher, announcer
        self._wake, self._step = wake, step
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._announcing: set[asyncio.Task[None]] = set()
        self._answered: set[str] = set()
        self.records: dict[str, Instance] = {}

    def of(self, service: str) -> list[Instance]:
        return [instance for instance in self.records.values() if instance.service == service]

    def revision(self, service: str) -> str:
        return self._launcher.revision(service)

    # what is found

    def load(self, running: Collection[str]) -> None:
        """Read the record of those whose process runs, for the edge to begin with."""
        self.records = {i.name: i for i in self._store.instances() if i.name in running}

    async def adopt(self, processes: Mapping[str, Process]) -> None:
        """Take over what runs: match the record with the keeper's processes, whichever of the two is ahead."""
        self.records = {instance.name: instance for instance in self._store.instances()}
        for process in processes.values():
            await self._end_stranger(process)
        for instance in list(self.records.values()):
            found = processes.get(instance.name)
            if found is not None and found.exit is None:
                await self._adopt_running(instance, found)
            elif instance.phase is not Phase.BACKOFF:
                await self._ended(instance, "its process was gone when cloudlet came back")

    async def _end_stranger(self, process: Process) -> None:
        if SERVICE_LABEL in process.spec.labels and process.spec.name not in self.records:
            if process.exit is None:
                await self._supervisor.stop(process.spec.name)
            else:
                await self._supervisor.forget(process.spec.name)

    async def _adopt_running(self, instance: Instance, process: Process) -> None:
        if instance.phase is Phase.BACKOFF:
            self._move(instance, Phase.STARTING, "its process was found running")
        if process.pid != instance.pid:
            instance.pid, instance.started = process.pid, process.started
            self._save(instance)
        if instance.phase is Phase.STARTING:
            self._probe(instance)
        if instance.phase is Phase.STOPPING:  # it may have been recorded and not yet done
            await self._supervisor.stop(instance.name)
        self._journal.info(instance.name, "adopted", f"process {process.pid} runs on")

    async def exited(self, end: Exit) -> None:
        """A process of ours ended: traffic off at once, then decide."""
        instance = self.records.get(end.name)
        if instance is None:
            await self._supervisor.forget(end.name)
            return
        if end.restarted_as is not None:  # the keeper did it while nobody was attached
            instance.pid = end.restarted_as
            self._save(instance)
            return
        if instance.phase is Phase.BACKOFF or instance.pid not in (None, end.pid):
            return  # the end of a process before this one, known already when cloudlet came back
        if instance.phase in (Phase.SERVING, Phase.DRAINING):
            await self._quietly(self._announcer.fail(instance))
        await self._ended(instance, str(end))
        self._wake()

    async def _ended(self, instance: Instance, how: str) -> None:
        self._cancel_probe(instance.name)
        if instance.phase in ALIVE:
            self._back_off(instance, how)
            return
        await self._quietly(self._announcer.remove(instance))
        self._step(f"{instance.name} removed from the edge")
        await self._quietly(self._supervisor.forget(instance.name))
        self._step(f"{instance.name} forgotten by the keeper")
        self._store.delete(instance.name)
        del self.records[instance.name]
        self._journal.info(instance.name, "gone", how)

    def _back_off(self, instance: Instance, how: str) -> None:
        now = time.time()
        instance.deaths = [*instance.deaths, now][-_DEATHS_KEPT:]
        decision = restart_delay(Backoff(deaths=tuple(instance.deaths), started=instance.started), now)
        instance.pid, instance.resume_at = None, now + decision.delay
        self._move(instance, Phase.BACKOFF, f"{how}; {decision.because}")
        looping = crash_looping(tuple(instance.deaths), now)
        if looping:
            self._journal.error(instance.name, "crash loop", f"{how}; {looping}")
        else:
            self._journal.warning(instance.name, "process ended", f"{how}; {decision.because}")

    # what is done

    async def act(self, service: str, action: Action) -> None:
        """Carry one action of the plan out, unless the instance has moved on since the plan was made."""
        instance = self.records.get(action.name)
        if isinstance(action, Start):
            if instance is None:
                await self._start(service, action)
        elif instance is None or instance.phase not in _APPLIES[type(action)]:
            return
        elif isinstance(action, Resume):
            await self._resume(instance, action.because)
        elif isinstance(action, GiveUp):
            await self._give_up(instance, action.because)
        elif isinstance(action, Retire):
            await self._retire(instance, action.because)
        else:
            await self._stop(instance, action.because)

    async def _start(self, service: str, action: Start) -> None:
        instance = Instance(
            name=action.name,
            service=service,
            ordinal=action.ordinal,
            revision=self._launcher.revision(service),
            phase=Phase.STARTING,
            since=time.time(),
            port=self._launcher.port(),
            because=action.because,
        )
        self.records[instance.name] = instance
        self._journal.info(instance.name, "starting", action.because)
        await self._launch(instance)

    async def _resume(self, instance: Instance, because: str) -> None:
        instance.revision = self._launcher.revision(instance.service)
        instance.port, instance.pid, instance.replace = self._launcher.port(), None, False
        instance.restarts += 1
        instance.phase, instance.since, instance.because = Phase.STARTING, time.time(), because
        self._journal.info(instance.name, "restarting", because)
        await self._launch(instance)

    async def _launch(self, instance: Instance) -> None:
        self._save(instance)
        self._step(f"{instance.name} recorded")
        try:
            process = await self._supervisor.start(self._launcher.process(instance))
        except (OperatorError, DependencyError) as error:
            self._back_off(instance, str(error))
            return
        self._step(f"{instance.name} started")
        if instance.phase is not Phase.STARTING:
            return  # its end was told before its start
        instance.pid, instance.started = process.pid, process.started
        self._save(instance)
        self._probe(instance)

    def _probe(self, instance: Instance) -> None:
        self._cancel_probe(instance.name)
        self._probes[instance.name] = asyncio.create_task(self._wait_ready(instance))

    async def _wait_ready(self, instance: Instance) -> None:
        await self._launcher.ready(instance)
        announcing = self._probes.pop(instance.name)  # from here on it is not to be cancelled halfway
        self._announcing.add(announcing)
        announcing.add_done_callback(self._announcing.discard)
        self._answered.add(instance.name)
        await self.announce_answered()
        self._wake()

    async def announce_answered(self) -> None:
        """Give traffic to every instance that proved ready; one whose announcement fails stays for the next turn.

        It counts as serving before the edge is told, so that a configuration made meanwhile has it too.
        """
        while self._answered:
            name = self._answered.pop()
            instance = self.records.get(name)
            if instance is None or instance.phase not in (Phase.STARTING, Phase.SERVING):
                continue
            if instance.phase is Phase.STARTING:
                took = time.time() - instance.started
                self._move(instance, Phase.SERVING, f"it answered {took * 1000:.0f} ms after its start")
                self._step(f"{name} serving")
            try:
                await self._announcer.announce(instance)
            except CloudletError as error:
                self._answered.add(name)
                self._journal.warning(name, "not announced yet", str(error))
                return
            self._step(f"{name} announced")
            self._journal.info(name, "serving", instance.because)

    async def _give_up(self, instance: Instance, because: str) -> None:
        self._cancel_probe(instance.name)
        self._journal.warning(instance.name, "given up", because)
        if instance.pid is None:
            self._back_off(instance, because)
            return
        instance.because = because
        await self._supervisor.stop(instance.name, grace=0.0)

    async def _retire(self, instance: Instance, because: str) -> None:
        self._cancel_probe(instance.name)
        self._journal.info(instance.name, "retiring", because)
        served = instance.phase is Phase.SERVING
        if instance.phase is Phase.BACKOFF:
            instance.phase = Phase.STOPPING
            await self._ended(instance, because)
            return
        self._move(instance, Phase.DRAINING if served else Phase.STOPPING, because)
        self._step(f"{instance.name} draining")
        if served:
            await self._quietly(self._announcer.withdraw(instance))
            self._step(f"{instance.name} withdrawn from the edge")
        else:
            await self._supervisor.stop(instance.name)

    async def _stop(self, instance: Instance, because: str) -> None:
        self._move(instance, Phase.STOPPING, because)
        self._step(f"{instance.name} stopping")
        await self._quietly(self._announcer.remove(instance))
        self._step(f"{instance.name} taken from the edge")
        self._journal.info(instance.name, "stopping", because)
        await self._supervisor.stop(instance.name)
        self._step(f"{instance.name} told to stop")

    def restart(self, services: Iterable[str]) -> list[str]:
        """Ask for fresh instances in place of the present ones, by the service's deployment strategy."""
        chosen = [i for name in services for i in self.of(name) if i.phase in ALIVE]
        for instance in chosen:
            instance.replace, instance.resume_at = True, 0.0
            self._save(instance)
        self._wake()
        return [instance.name for instance in chosen]

    def try_again(self) -> None:
        """Somebody has changed something: start what waits in a backoff now, its past ends forgotten."""
        for instance in self.records.values():
            if instance.phase is Phase.BACKOFF:
                instance.deaths, instance.resume_at = [], 0.0
                self._save(instance)

    # small ones

    def _move(self, instance: Instance, phase: Phase, because: str) -> None:
        instance.phase, instance.since, instance.because = phase, time.time(), because
        self._save(instance)

    def _save(self, instance: Instance) -> None:
        """A record that cannot be written (a full disk) is said, and written with the next step."""
        try:
            self._store.save(instance)
        except DependencyError as error:
            self._journal.error(instance.name, "not recorded", str(error))

    def _cancel_probe(self, name: str) -> None:
        self._answered.discard(name)
        probe = self._probes.pop(name, None)
        if probe is not None and probe is not asyncio.current_task():
            probe.cancel()

    async def _quietly(self, work: Awaitable[None]) -> None:
        """Await something whose failure the next turn mends, and say so."""
        try:
            await work
        except CloudletError as error:
            self._journal.warning("cloudlet", "will try again", str(error))

    async def close(self) -> None:
        for name in tuple(self._probes):
            self._cancel_probe(name)
