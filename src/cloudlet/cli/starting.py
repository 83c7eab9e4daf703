"""A stack that does not run yet is started: here in the foreground, or in the background."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudlet.cli.console import err
from cloudlet.cli.events import print_event
from cloudlet.cli.printing import print_row
from cloudlet.cli.waiting import show_ready, wait_answering, wait_healthy
from cloudlet.errors import DependencyError, Unhealthy

if TYPE_CHECKING:
    from cloudlet.cli.session import Session
    from cloudlet.control.views import Event, PlanView
    from cloudlet.stack import Stack

#: seconds until the daemon answers: it connects to the keeper and starts the edge before
_ANSWERS_WITHIN = 30.0
#: lines of the daemon's log that are shown when it ends at once
_SHOWN_LINES = 15
#: seconds; a foreground waits for its stack as long as it takes
_FOR_EVER = 10.0**9


def plan_alone(session: Session, stack: Stack) -> PlanView:
    """What starting would change: everything, or the difference to what a killed cloudlet has left
    running."""
    from cloudlet.control.planning import changes
    from cloudlet.control.views import PlanView
    from cloudlet.stack import check

    if session.paths.database.exists():
        return _plan_from_record(session, stack)
    return PlanView(changes(None, stack, {}), [], [str(problem) for problem in check(stack)])


def _plan_from_record(session: Session, stack: Stack) -> PlanView:
    from cloudlet.control.desired import Desired
    from cloudlet.control.journal import Journal
    from cloudlet.control.own import Own
    from cloudlet.control.store import Store
    from cloudlet.identity.secrets import Secrets

    store = Store(session.paths.database)
    try:
        own = Own(session.paths, Secrets(session.paths.secrets))
        return Desired(session.file.resolve(), store, Journal(store), own.complete).plan(stack)
    finally:
        store.close()


def run_here(session: Session, *, undo: bool) -> int:
    """Run in the foreground until it is taken down; the exit status."""
    from cloudlet.control.daemon import run_foreground

    foreground = _Foreground(session)
    foreground.start()
    try:
        return run_foreground(session.file, on_event=foreground.event, undo=undo)
    except KeyboardInterrupt:
        err().print("left while it started: `cloudlet up` goes on with what runs, `cloudlet down` ends it")
        raise
    finally:
        foreground.end()


class _Foreground(threading.Thread):
    """Shows how far the start is, then the addresses, then the journal; the daemon has the main thread."""

    def __init__(self, session: Session) -> None:
        super().__init__(name="progress", daemon=True)
        self._session = session
        self._ended = threading.Event()
        self._healthy = threading.Event()

    def run(self) -> None:
        client = self._session.client()
        try:
            status = wait_healthy(client, _FOR_EVER, ended=self._ended.is_set)
        except Unhealthy:
            return
        self._healthy.set()
        if self._session.output == "table":
            show_ready(status)
            err().print("Ctrl-C takes everything down", style="dim")

    def event(self, event: Event) -> None:
        """Called by the daemon for every entry of its journal."""
        if self._session.output != "table":
            print_row(event, self._session.output)
        elif self._healthy.is_set() or event.level != "info" or not err().is_terminal:
            print_event(event)
        if (event.subject, event.event) == ("cloudlet", "going down") and not self._ended.is_set():
            self._ended.set()
            err().print("a second Ctrl-C leaves at once; what still runs then waits for the next `up`")

    def end(self) -> None:
        self._ended.set()
        if self.is_alive():
            self.join(timeout=5)


class Background:
    """A daemon in a session of its own. Its process exists from `__enter__` on, for its imports to be over when the
    plan has been shown; it begins with `start`, and ends with the block when that was never called."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._log = session.paths.log("cloudlet")

    def __enter__(self) -> Background:
        self._session.paths.create()
        self._daemon, self._offset = _spawn(self._session.file.resolve(), self._log)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._daemon.stdin is not None
        self._daemon.stdin.close()

    def start(self, *, undo: bool, timeout: float | None) -> None:
        """Return when it answers, or with a timeout when all is healthy."""
        assert self._daemon.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended: its last words are told below
            self._daemon.stdin.write(b"start undo\n" if undo else b"start\n")
            self._daemon.stdin.flush()
        client = self._session.client()
        try:
            wait_answering(client, _ANSWERS_WITHIN, ended=self._ended)
            status = wait_healthy(client, timeout, ended=self._ended) if timeout is not None else None
        except KeyboardInterrupt:
            err().print("it goes on starting in the background; `cloudlet down` ends it")
            raise
        if self._session.output != "table":
            return
        if status is not None:
            show_ready(status)
        else:
            click.echo(f"started in the background, process {self._daemon.pid}; `cloudlet status` shows how far it is")

    def _ended(self) -> bool:
        if self._daemon.poll() is not None:
            raise _early_end(self._daemon.returncode, self._log, self._offset)
        return False


def _spawn(file: Path, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    command = [sys.executable, "-m", "cloudlet.control", "--file", str(file)]
    try:
        offset = os.fstat(descriptor).st_size
        daemon = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=descriptor, stderr=descriptor, start_new_session=True
        )
    finally:
        os.close(descriptor)
    return daemon, offset


def _early_end(status: int, log: Path, offset: int) -> DependencyError:
    """The daemon's last words as an error with its exit status."""
    with log.open("rb") as file:
        file.seek(offset)
        lines = file.read().decode(errors="replace").splitlines()
    if lines and lines[-1].startswith("cloudlet: ") and status > 0:
        told = DependencyError(lines[-1].removeprefix("cloudlet: "))
        told.exit_code = status
        return told
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    said = "\n".join(f"    {line}" for line in lines[-_SHOWN_LINES:])
    error = DependencyError(f"cloudlet {how} instead of going on in the background:\n{said}\nall of it: {log}")
    if status > 0:
        error.exit_code = status
    return error
