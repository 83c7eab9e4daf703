"""Servers on their way out: in maintenance, and deleted as soon as their last connection has ended."""

from __future__ import annotations

import asyncio

from cloudlet.edge.servers import Servers

#: seconds that connections of a server that was taken out may last, where its process does not end
_CUT_AFTER = 60.0


class Removals:
    """Deletions that go on behind whoever asked for them, by (backend, server)."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def begin(self, servers: Servers, backend: str, name: str) -> None:
        task = asyncio.create_task(servers.delete(backend, name, _CUT_AFTER))
        self._tasks[backend, name] = task
        task.add_done_callback(lambda done: self._done(backend, name, done))

    async def wait(self, backend: str, name: str, timeout: float) -> None:
        """Return when it is deleted, or after `timeout` seconds."""
        task = self._tasks.get((backend, name))
        if task is not None:
            await asyncio.wait([task], timeout=timeout)

    async def finish(self, servers: Servers, backend: str, name: str) -> None:
        """Its name is wanted again: cut what it still has. Raises EngineFailed."""
        task = self._tasks.get((backend, name))
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await servers.delete(backend, name, within=0.0)

    async def stop(self) -> None:
        """Leave them in maintenance; the next process does not know them."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, backend: str, name: str, done: asyncio.Task[None]) -> None:
        if self._tasks.get((backend, name)) is done:
            del self._tasks[backend, name]
        if not done.cancelled():
            done.exception()  # it is in maintenance still, and adoption and the next process see to it
