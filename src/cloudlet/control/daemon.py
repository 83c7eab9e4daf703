"""The process that looks after one stack: one at a time, in the foreground or detached.

Killed, it interrupts nothing: the keeper and all that runs go on, and the next one adopts them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cloudlet.contracts.paths import StatePaths
from cloudlet.control.system import System, no_step
from cloudlet.control.views import Event
from cloudlet.errors import OperatorError, Refused
from cloudlet.stack import parse

EventListener = Callable[[Event], None]


def run_foreground(
    file: Path, *, on_event: EventListener, undo: bool = False, step: Callable[[str], None] = no_step
) -> int:
    """Run the stack until it is taken down or SIGINT or SIGTERM arrives, which takes it down; the exit status.

    A second SIGINT leaves at once, with everything running for the next `cloudlet up`. `undo` takes back what
    commands changed at run time.
    """
    return asyncio.run(_serve(file.resolve(), on_event, undo, step))


def take_down(file: Path) -> int:
    """End what is left of a stack that no daemon looks after; how many processes that were."""
    return asyncio.run(_take_down(file.resolve()))


async def _serve(file: Path, on_event: EventListener, undo: bool, step: Callable[[str], None]) -> int:
    stack = parse(_read(file), file)
    paths = StatePaths.beside(file)
    paths.create()
    with alone(paths):
        system = await System.open(file, paths, step)
        system.journal.listen(on_event)
        stopping = asyncio.Event()
        api = None
        try:
            await system.begin(stack, undo=undo)
            # imported while engines and instances start: an HTTP server is a quarter of all that is imported
            from cloudlet.control.api import Api

            api = Api(system, stopping.set)
            await api.start()
            _on_signals(stopping)
            await stopping.wait()
            await system.down()
        finally:
            system.journal.end()
            if api is not None:
                await api.close()
            await system.close()
    return 0


def _on_signals(stopping: asyncio.Event) -> None:
    def asked() -> None:
        if stopping.is_set():
            os._exit(130)  # asked twice: leave everything to the keeper and the next `up`
        stopping.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, asked)
    loop.add_signal_handler(signal.SIGTERM, asked)


async def _take_down(file: Path) -> int:
    paths = StatePaths.beside(file)
    if not paths.database.exists():
        return 0
    with alone(paths):
        system = await System.open(file, paths, no_step)
        try:
            return await system.down()
        finally:
            await system.close()


@contextmanager
def alone(paths: StatePaths) -> Iterator[None]:
    """Hold the stack's lock, which no other user may open: two daemons would undo each other's work. Raises Refused
    when one runs."""
    with _lock_file(paths.root / "daemon.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"another cloudlet looks after {paths.root.parent}; talk to it, or end it") from error
        yield


def _lock_file(path: Path) -> IO[bytes]:
    try:
        lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb+")
        os.fchmod(lock.fileno(), 0o600)
    except OSError as error:
        raise Refused(f"cannot open {path}: {error.strerror}; run cloudlet as the user whose stack it is") from error
    return lock


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"cannot read {file}: {error}; name another with -f, or run `cloudlet init`") from error
