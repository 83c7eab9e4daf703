"""The processes: what can be asked of each, and what the keeper does by itself when one ends."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudlet.runtime.keeper import backoff, cgroup, procfs
from cloudlet.runtime.keeper.child import Launch
from cloudlet.runtime.keeper.ending import Endings
from cloudlet.runtime.keeper.errors import Impossible, KeeperError, Refused
from cloudlet.runtime.keeper.life import Life, send_all
from cloudlet.runtime.keeper.loop import Loop, Timer, say
from cloudlet.runtime.keeper.output import Output
from cloudlet.runtime.keeper.record import Limits, Record, Spec
from cloudlet.runtime.keeper.sockets import Sockets
from cloudlet.runtime.keeper.spawn import spawn
from cloudlet.runtime.keeper.store import Store

#: seconds given to a controller to come (back) before what it would restart is restarted for it
_CONTROLLER_WITHIN = 1.0


class Processes:
    """Every process of one state. `report` is told of each exit; `attended` says that a controller is
    there."""

    def __init__(
        self,
        loop: Loop,
        store: Store,
        sockets: Sockets,
        run: Path,
        files: tuple[int, int],
        report: Callable[[dict[str, Any]], None],
    ) -> None:
        self._loop, self._store, self._sockets = loop, store, sockets
        self._run, self._files, self._report = run, files, report
        self._records = store.state.processes
        self._pending: dict[str, Timer] = {}
        self._controller_until = 0.0
        self.lives: dict[str, Life] = {}
        self.endings = Endings(loop, self.lives, self._ended)
        self.attended = False

    # what is asked

    def start(self, spec: Spec, token: str) -> Record:
        """Asked twice with one token it is started once. Raises Refused, Impossible."""
        record = self._records.get(spec.name)
        if record is not None and record.token == token:
            return record
        if record is not None and record.exit is None:
            raise Refused(f"{spec.name} still runs, as process {record.pid}; stop it first")
        self._cancel(spec.name)
        self._sockets.inherited(spec.sockets)
        fresh = Record(spec, token, restart=spec.restart, confirmed=spec.replaces is None)
        self._records[spec.name] = fresh
        try:
            self._store.save_or_fail()
            self._launch(fresh, spec.argv)
        except KeeperError:
            del self._records[spec.name]
            self._store.save()
            raise
        self._store.save()
        return fresh

    def stop(self, name: str, grace: float | None) -> None:
        record = self._known(name)
        self._cancel(name)
        life = self.lives.get(name)
        if life is not None:
            grace = record.spec.grace if grace is None else grace
            first, kill_at = not record.stopping, time.time() + grace
            record.kill_at = kill_at if record.kill_at is None else min(kill_at, record.kill_at)
            if first and grace > 0 and not life.gone:
                life.send(record.spec.stop_signal)
            self.endings.stop_at(life, record.kill_at)
        record.stopping = True
        self._store.save()

    def signal(self, name: str, number: int) -> None:
        record, life = self._known(name), self.lives.get(name)
        if life is None or life.gone:
            raise Refused(f"{name} does not run any more")
        if number not in signal.valid_signals():
            raise Refused(f"{number} is no signal; {record.spec.name} was sent none")
        life.send(number)

    def confirm(self, name: str) -> None:
        record = self._known(name)
        if record.exit is not None:
            raise Refused(f"{name} has ended and takes over from nobody")
        record.confirmed = True
        predecessor = self._records.get(record.spec.replaces or "")
        if predecessor is not None:
            predecessor.restart = backoff.NEVER
            self._cancel(predecessor.spec.name)
        self._store.save()

    def forget(self, name: str) -> None:
        if name in self.lives:
            raise Refused(f"{name} still runs; stop it first")
        self._cancel(name)
        if self._records.pop(name, None) is not None:
            self._store.save()

    def limit(self, name: str, cpu: float | None, memory: int | None) -> Record:
        """Change the limits of a running process; its record's warnings say what does not hold."""
        record, life = self._known(name), self.lives.get(name)
        if life is None:
            raise Refused(f"{name} does not run any more")
        limits = replace(record.spec.limits, cpu=cpu, memory=memory)
        record.spec = replace(record.spec, limits=limits)
        record.warnings = self._limit(record, limits)
        cgroup.move(record.groups, [life.pid, *life.family()])
        self._store.save()
        return record

    def _known(self, name: str) -> Record:
        if name not in self._records:
            raise Refused(f"there is no process {name}")
        return self._records[name]

    # how one begins

    def _launch(self, record: Record, argv: list[str]) -> None:
        spec = record.spec
        sockets = self._sockets.inherited(spec.sockets)
        output = self._open_output(spec)
        warnings = self._limit(record, spec.limits)
        launch = Launch(
            argv=argv,
            directory=spec.directory,
            environment=spec.environment,
            fifo=output.fifo,
            user=spec.user,
            sockets=sockets,
            files=spec.limits.files,
            default_files=self._files,
            groups=record.groups,
        )
        try:
            pid, more = spawn(launch)
        except Impossible as error:
            output.finish()
            cgroup.remove(record.groups)
            raise Impossible(f"{spec.name} cannot be started: {error}") from error
        found = procfs.stat(pid)
        record.pid, record.started = pid, time.time()
        record.started_ticks = found.started if found else 0
        record.warnings = [*warnings, *more]
        record.exit, record.kill_at = None, None
        self.take_over(record, output, child=True)

    def take_over(self, record: Record, output: Output, *, child: bool) -> Life:
        """Look after a process that runs. Raises ProcessLookupError when it is gone already."""
        assert record.pid is not None
        life = Life(record, output, record.pid, os.pidfd_open(record.pid), child)
        self.lives[life.name] = life
        self._loop.watch(output.descriptor, output.pump)
        self.endings.watch(life)
        if record.kill_at is not None:
            self.endings.stop_at(life, record.kill_at)
        return life

    def _open_output(self, spec: Spec) -> Output:
        try:
            return Output(self._run, spec.name, Path(spec.log))
        except OSError as error:
            raise Impossible(f"{spec.name} cannot be started: no FIFO for its output: {error}") from error

    def _limit(self, record: Record, limits: Limits) -> list[str]:
        """Make its groups, or change those it has; warnings for what cannot be limited."""
        stack = hashlib.sha256(os.fsencode(self._run)).hexdigest()[:8]
        for group in record.groups:
            with contextlib.suppress(OSError):  # create says it
                cgroup.write(Path(group), limits)
        groups, warnings = cgroup.create(f"cloudlet-{stack}-{record.spec.name}", limits)
        record.groups = list(dict.fromkeys([*record.groups, *groups]))
        return warnings

    # how one ends

    def bury(self, record: Record, output: Output) -> None:
        """One that ended while no keeper was there: what is left of it ends too. Nobody knows its status."""
        send_all(procfs.printers(output.fifo), signal.SIGKILL)
        output.finish()
        cgroup.remove(record.groups)
        record.groups = []
        self._record_exit(record, None, None)

    def _ended(self, life: Life) -> None:
        del self.lives[life.name]
        self._record_exit(life.record, life.code, life.signal)

    def _record_exit(self, record: Record, code: int | None, number: int | None) -> None:
        now = time.time()
        record.exit = {
            "name": record.spec.name,
            "pid": record.pid,
            "code": code,
            "signal": number,
            "at": now,
            "restarted_as": None,
        }
        record.quick_deaths = backoff.quick_deaths(record.quick_deaths, record.restart, now - record.started)
        if self._delay(record) == 0.0:
            self._restart(record)
            return
        self._store.save()
        self._report(record.exit)
        self.consider(record)

    def _delay(self, record: Record) -> float | None:
        """Seconds until it is to be started again, None for not by the keeper."""
        assert record.exit is not None
        ended = backoff.Ended(
            restart=record.restart,
            failed=record.exit["code"] != 0,
            released=record.stopping or not record.confirmed,
            quick_deaths=record.quick_deaths,
        )
        delay = backoff.delay(ended, attended=self.attended)
        if delay is not None and record.restart == backoff.UNATTENDED:
            return max(delay, self._controller_until - time.monotonic())
        return delay

    def consider(self, record: Record) -> None:
        """Start an ended process again when its time has come, if it is the keeper's to do."""
        delay = self._delay(record)
        if delay is not None:
            self._cancel(record.spec.name)
            self._pending[record.spec.name] = self._loop.later(delay, lambda: self._restart(record))

    def _restart(self, record: Record) -> None:
        self._cancel(record.spec.name)
        end = record.exit
        assert end is not None
        try:
            self._launch(record, record.spec.restart_argv or record.spec.argv)
        except KeeperError as error:
            say(f"started again in vain: {error}")
            if record.quick_deaths == 0:
                self._report(end)
            record.quick_deaths += 1
            self._store.save()
            delay = max(1.0, self._delay(record) or 0.0)
            self._pending[record.spec.name] = self._loop.later(delay, lambda: self._restart(record))
            return
        record.restarts += 1
        record.previous_exit = {**end, "restarted_as": record.pid}
        self._store.save()
        self._report(record.previous_exit)

    def _cancel(self, name: str) -> None:
        if name in self._pending:
            self._pending.pop(name).cancel()

    # who is in charge

    def controller_came(self) -> None:
        """What ended is now its to decide, but for what restarts on failure."""
        self.attended = True
        for name in tuple(self._pending):
            if self._records[name].restart == backoff.UNATTENDED:
                self._cancel(name)

    def controller_left(self) -> None:
        self.attended = False
        self._controller_until = time.monotonic() + _CONTROLLER_WITHIN
        for record in self._records.values():
            if record.exit is not None and record.spec.name not in self._pending:
                self.consider(record)

    @property
    def idle(self) -> bool:
        return not self.lives and not self._pending

    def stop_all(self) -> None:
        for name in tuple(self._records):
            self.stop(name, None)
