"""Valkey as a cache: it makes answers faster, and its absence never makes one fail."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable
from typing import Any

from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

#: seconds; slower than this, the database is the better place to ask
TIMEOUT = 0.25
#: seconds for which nobody asks again after a failure, so that a cache that hangs costs each request nothing
PAUSE = 0.5

_log = logging.getLogger("shop")


class Cache:
    """Values are JSON; every key has a time to live in seconds."""

    def __init__(self, url: str) -> None:
        self._client = Valkey.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        self._asleep_until = 0.0

    async def get(self, key: str) -> Any:
        """The value, or None when it is not there or cannot be had."""
        value = await self._attempt(lambda: self._client.get(key))
        return None if value is None else json.loads(value)

    async def set(self, key: str, value: Any, ttl: int) -> None:
        await self._attempt(lambda: self._client.set(key, json.dumps(value), ex=ttl))

    async def delete(self, key: str) -> None:
        await self._attempt(lambda: self._client.delete(key))

    async def close(self) -> None:
        await self._client.aclose()

    async def _attempt(self, command: Any) -> Any:
        now = asyncio.get_running_loop().time()
        if now < self._asleep_until:
            return None
        try:
            answer: Awaitable[Any] = command()
            return await answer
        except (ValkeyError, OSError) as error:
            self._asleep_until = now + PAUSE
            _log.warning("going on without the cache: %s", error)
            return None
