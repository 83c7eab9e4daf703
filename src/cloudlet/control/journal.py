"""The control plane's own record of what it did and why; whoever follows it is told at once.

Writing never fails: what the store refuses (a full disk) goes to standard error, for whoever handles a failure by
writing it here must not fail by that.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable

from cloudlet.control.store import Store
from cloudlet.control.views import Event
from cloudlet.errors import DependencyError

Listener = Callable[[Event], None]


class Journal:
    """Write with `info`, `warning`, `error`; each takes the subject, what happened and the reason."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: set[Listener] = set()
        self._followers: set[asyncio.Queue[Event | None]] = set()

    def info(self, subject: str, event: str, because: str = "") -> None:
        self._write("info", subject, event, because)

    def warning(self, subject: str, event: str, because: str = "") -> None:
        self._write("warning", subject, event, because)

    def error(self, subject: str, event: str, because: str = "") -> None:
        self._write("error", subject, event, because)

    def _write(self, level: str, subject: str, event: str, because: str) -> None:
        try:
            entry = self._store.write_event(level, subject, event, because)
        except DependencyError as error:
            entry = Event(0, time.time(), level, subject, event, because)
            print(f"cloudlet: {subject}: {event} because {because} (not in the journal: {error})", file=sys.stderr)
        for listener in tuple(self._listeners):
            listener(entry)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every entry from now on; the function returned ends it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def since(self, number: int) -> list[Event]:
        return self._store.events(number)

    async def follow(self, since: int) -> AsyncIterator[Event]:
        """Every entry after number `since`, then each as it is written, without a gap between the two."""
        arrived: asyncio.Queue[Event | None] = asyncio.Queue()
        self._followers.add(arrived)
        stop = self.listen(arrived.put_nowait)
        try:
            last = since
            for past in self.since(since):
                last = past.id
                yield past
            while (entry := await arrived.get()) is not None:
                if entry.id > last:
                    yield entry
        finally:
            stop()
            self._followers.discard(arrived)

    def end(self) -> None:
        """Nothing more is to come: let everyone who follows finish."""
        for follower in tuple(self._followers):
            follower.put_nowait(None)
