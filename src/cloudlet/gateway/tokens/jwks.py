"""The key set of an issuer, fetched when a token needs it and kept.

It is fetched again after FRESH seconds, and when a token names a key that it lacks: that is how a rotation shows.
Strangers can send such tokens, so nobody makes it ask more than once in PAUSE seconds, whether the last try succeeded
or not. A set that was good once goes on counting while the issuer is away, for at most STALE seconds: a key that the
issuer took back must not live for as long as somebody keeps the issuer unreachable.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from cloudlet.errors import ProviderFailed
from cloudlet.gateway.tokens.fetch import LARGEST, Fetcher
from cloudlet.gateway.tokens.keys import Key, of_set
from cloudlet.stack.identity.trust import STALE

FRESH, PAUSE = 300.0, 10.0


class KeySource(Protocol):
    async def keys(self, kid: str | None) -> list[Key]:
        """The keys of now; with a `kid` that is unknown, asked for anew where that is due. Raises ProviderFailed."""
        ...


class Fixed:
    """Keys that are what they are."""

    def __init__(self, keys: list[Key]) -> None:
        self._keys = keys

    async def keys(self, kid: str | None) -> list[Key]:
        return self._keys


class Fetched:
    """A key set that somebody else may change; concurrent askers share one fetch."""

    def __init__(
        self, fetch: Callable[[], Awaitable[dict[str, Any]]], name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._name, self._clock = fetch, name, clock
        self._keys: list[Key] = []
        self._good = self._tried = float("-inf")
        self._failure: ProviderFailed | None = None
        self._turn = asyncio.Lock()

    async def keys(self, kid: str | None) -> list[Key]:
        if self._wanted(kid):
            async with self._turn:
                if self._wanted(kid):
                    await self._renew()
        if self._clock() - self._good > STALE:
            raise self._failure or ProviderFailed(f"{self._name} gave no keys")
        return self._keys

    def _wanted(self, kid: str | None) -> bool:
        now = self._clock()
        unknown = kid is not None and all(key.get("kid") not in (kid, None) for key in self._keys)
        return now - self._tried >= PAUSE and (unknown or now - self._good >= FRESH)

    async def _renew(self) -> None:
        try:
            keys = of_set(await self._fetch())
            if not keys:
                raise ProviderFailed(f"{self._name} holds no key that can be used")
            self._keys, self._good, self._failure = keys, self._clock(), None
        except ProviderFailed as error:
            self._failure = error
        finally:
            self._tried = self._clock()


def at_address(fetcher: Fetcher, url: str, clock: Callable[[], float] = time.monotonic) -> Fetched:
    return Fetched(lambda: fetcher.get(url), url, clock)


class InFile:
    """A key set in a file, read again when the file changes; while it cannot be read the last good one counts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._keys: list[Key] = []
        self._stamp: tuple[int, int, int] | None = None

    async def keys(self, kid: str | None) -> list[Key]:
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._keys = _read(self._file) or self._keys
                self._stamp = stamp
        except (OSError, ValueError) as error:
            if not self._keys:
                raise ProviderFailed(f"{self._file} holds no key set: {error}") from error
        return self._keys


def _read(file: Path) -> list[Key]:
    with file.open("rb") as opened:
        document = json.loads(opened.read(LARGEST))
    return of_set(document) if isinstance(document, dict) else []
