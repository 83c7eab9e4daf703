"""Names to addresses by the machine's own resolver, in threads of our own: one question at a time for each name, its
answer good for a moment, so that a burst of connections asks once."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from cloudlet.stack.destinations import Address, address_of

Lookup = Callable[[str], Sequence[Address]]

#: threads: slow names hold back no more than these
_AT_ONCE = 32
#: seconds
_WITHIN = 8.0
_GOOD_FOR = 2.0
_MOST_KEPT = 1024


class NoSuchName(Exception):
    """The resolver has no address for it, or did not answer in time."""


def system_lookup(name: str) -> Sequence[Address]:
    """Raises OSError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(address_of(str(entry[4][0])) for entry in found))


class Names:
    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="names")
        self._asked: dict[str, asyncio.Future[Sequence[Address]]] = {}
        self._kept: dict[str, tuple[float, Sequence[Address]]] = {}

    async def addresses(self, name: str) -> Sequence[Address]:
        """Raises NoSuchName."""
        kept = self._kept.get(name)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        try:
            async with asyncio.timeout(_WITHIN):
                return await asyncio.shield(self._ask(name))
        except TimeoutError:
            raise NoSuchName(f"no answer from the resolver within {_WITHIN:.0f} s") from None
        except (OSError, UnicodeError) as error:
            raise NoSuchName(getattr(error, "strerror", None) or str(error)) from None

    def _ask(self, name: str) -> asyncio.Future[Sequence[Address]]:
        asked = self._asked.get(name)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, name)
            self._asked[name] = asked
            asked.add_done_callback(lambda done: self._answered(name, done))
        return asked

    def _answered(self, name: str, done: asyncio.Future[Sequence[Address]]) -> None:
        del self._asked[name]
        if not done.cancelled() and done.exception() is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[name] = (time.monotonic() + _GOOD_FOR, done.result())

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
