"""One JSON line on standard output for each request, and for each tunnel when it ends.

    time         RFC 3339, of its end         service      None: nobody we know
    method, destination (host:port), path (never the query), address (connected to), status
    refused      why a rule or the proxy said no: these lines are the audit of what was tried
    error        why it failed otherwise, and how a tunnel ended
    sent, received   bytes from and to the service     seconds      cache   hit, revalidated, stored

Written by a thread: whoever reads may be slow, and the proxy does not wait. What it cannot keep it counts (`lost`).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

#: seconds between two writes, and lines that wait at most
_EVERY = 0.05
_MOST = 20_000


class Log:
    """`all_of_it` False writes refusals only."""

    def __init__(self, *, all_of_it: bool, descriptor: int = 1) -> None:
        self._all, self._descriptor = all_of_it, descriptor
        self._lines: list[str] = []
        self._lost = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="log")
        self._writing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def write(self, entry: Mapping[str, object]) -> None:
        if not self._all and not entry.get("refused"):
            return
        if len(self._lines) >= _MOST:
            self._lost += 1
            return
        shown = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}
        self._lines.append(json.dumps({key: value for key, value in shown.items() if value not in ("", None)}))
        if self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._flush)

    def _flush(self) -> None:
        self._timer = None
        text = self._take()
        self._writing = asyncio.get_running_loop().run_in_executor(self._writer, self._put, text)
        self._writing.add_done_callback(self._flushed)

    def _flushed(self, _: object) -> None:
        self._writing = None
        if self._lines:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._flush)

    def _take(self) -> bytes:
        if self._lost:
            self._lines.append(json.dumps({"time": datetime.now(UTC).isoformat(), "lost": self._lost}))
            self._lost = 0
        lines, self._lines = self._lines, []
        return "".join(f"{line}\n" for line in lines).encode()

    def _put(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]

    async def close(self) -> None:
        """What still waits is written."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await asyncio.get_running_loop().run_in_executor(self._writer, self._put, self._take())
        self._writer.shutdown(wait=False)
