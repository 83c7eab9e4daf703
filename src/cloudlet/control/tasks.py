"""What runs beside the control loop, kept running: one that fails is told, and begun again."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable

from cloudlet.control.journal import Journal
from cloudlet.errors import CloudletError

#: seconds until one that failed is begun again
_PAUSE = 1.0


class Tasks:
    """Tasks by the journal's subject. `cancel` ends them all."""

    def __init__(self, journal: Journal, pause: float = _PAUSE) -> None:
        self._journal, self._pause = journal, pause
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, subject: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run it until it returns."""
        task = asyncio.create_task(self._kept(subject, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _kept(self, subject: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await work()
            except (CloudletError, OSError) as error:
                self._journal.error(subject, "work in the background failed", f"{error}; it is begun again")
            except Exception as error:  # a bug in one of them must not silence it for as long as cloudlet runs
                self._journal.error(subject, "a bug in work in the background", bug(error))
            await asyncio.sleep(self._pause)

    async def cancel(self) -> None:
        """Returns when all have ended."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def bug(error: Exception) -> str:
    """What the journal says of an exception that nobody expected: what and where."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} in {where.filename}:{where.lineno}; please report it"
