"""A stream of exits: what was told since it was made, in order, until its client closes."""

from __future__ import annotations

import asyncio

from cloudlet.contracts.process import Exit


class Exits:
    """An asynchronous iterator over a queue of its own."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Exit | None] = asyncio.Queue()

    def put(self, end: Exit) -> None:
        self._queue.put_nowait(end)

    def end(self) -> None:
        self._queue.put_nowait(None)

    def __aiter__(self) -> Exits:
        return self

    async def __anext__(self) -> Exit:
        end = await self._queue.get()
        if end is None:
            self._queue.put_nowait(None)  # it stays at its end
            raise StopAsyncIteration
        return end
