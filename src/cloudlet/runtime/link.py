"""One connection to a keeper: questions with their answers, and what it tells unasked."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloudlet.runtime.wire import error_from_wire

#: bytes of the longest answer: all processes with their environments
_LONGEST_LINE = 64 * 1024 * 1024


class LinkLost(Exception):
    """The keeper ended, or ended the connection; whether it did what was asked is unknown."""


class Link:
    """Made by `open`. Whatever comes is given to `observe` (operation, answer) in the order in which the
    keeper said it, exits as the operation `exit`, and `lost` is called once when the connection ends."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        observe: Callable[[str, Any], None],
        lost: Callable[[], None],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._observe, self._lost = observe, lost
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._alive = True
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, path: Path, observe: Callable[[str, Any], None], lost: Callable[[], None]) -> Link:
        """Raises OSError when nobody listens."""
        reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_LINE)
        return cls(reader, writer, observe, lost)

    @property
    def alive(self) -> bool:
        return self._alive

    async def ask(self, operation: str, **parameters: Any) -> Any:
        """The answer. Raises what the keeper answers (a CloudletError), and LinkLost."""
        if not self._alive:
            raise LinkLost
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (operation, answer)
        self._writer.write(json.dumps({"id": number, "op": operation, **parameters}).encode() + b"\n")
        return await answer

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass  # cut off in the middle of a line: the same as its end
        finally:
            self._end()

    def _take(self, message: dict[str, Any]) -> None:
        if "exit" in message:
            self._observe("exit", message["exit"])
            return
        operation, answer = self._waiting.pop(message["id"])
        if "ok" in message:
            self._observe(operation, message["ok"])
        if answer.done():
            return  # whoever asked was cancelled
        if "ok" in message:
            answer.set_result(message["ok"])
        else:
            answer.set_exception(error_from_wire(message["error"]))

    def _end(self) -> None:
        self._alive = False
        self._writer.close()
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LinkLost())
        self._waiting.clear()
        self._lost()

    async def ended(self) -> None:
        """Wait until the keeper has ended the connection."""
        await asyncio.wait([self._task])

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
