"""Key sets of issuers, fetched: bounded in time and size, by https or from this machine, never redirected.

The last good set is kept when the next one cannot be had, also over a restart of cloudlet: an issuer that is away must
not lock everybody out who has a token; not for ever either (STALE).

    identity/jwks-HASH.json    the last good set of the address with that hash, as old as the file
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloudlet.errors import ProviderFailed
from cloudlet.stack.identity.trust import STALE, refusal

#: seconds for a whole exchange, and bytes of an answer; the largest key sets in use have some 20 kB
TIMEOUT, LARGEST = 3.0, 512_000


def is_file(address: str) -> bool:
    return "://" not in address


class KeySets:
    """The sets by their address, and the last good ones in a folder."""

    def __init__(self, folder: Path, timeout: float = TIMEOUT, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._timeout, self._clock = folder, timeout, clock

    async def fetch(self, address: str) -> dict[str, Any]:
        """The set as it is now, kept for later. Raises ProviderFailed."""
        document = _parsed(address, await self._read(address))
        if not is_file(address):
            self._keep(address, document)
        return document

    def last(self, address: str) -> dict[str, Any]:
        """The last good set; empty where there never was one, or not for STALE seconds."""
        place = self._place(address)
        try:
            if self._clock() - place.stat().st_mtime > STALE:
                return {}
            kept = json.loads(place.read_bytes())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    async def _read(self, address: str) -> bytes:
        if is_file(address):
            return await asyncio.to_thread(_read_file, Path(address))
        if reason := refusal(address):
            raise ProviderFailed(f"{address} is not asked: {reason}")
        import aiohttp  # noqa: PLC0415 -- most stacks fetch no keys, and `up` is quick without an HTTP client

        try:
            return await self._get(address)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ProviderFailed(f"{address} did not answer: {str(error) or type(error).__name__}") from error

    async def _get(self, url: str) -> bytes:
        import aiohttp  # noqa: PLC0415

        limit = aiohttp.ClientTimeout(self._timeout)
        async with (
            aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status != 200:
                raise ProviderFailed(f"{url} answered {answer.status}, not 200; check the address")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > LARGEST:
                    raise ProviderFailed(f"{url} answered more than {LARGEST} bytes")
            return bytes(body)

    def _keep(self, address: str, document: dict[str, Any]) -> None:
        """A disk that is full costs the memory of it, not the set."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._place(address))
        except OSError:
            return

    def _place(self, address: str) -> Path:
        return self._folder / f"jwks-{hashlib.sha256(address.encode()).hexdigest()[:16]}.json"


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ProviderFailed(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise ProviderFailed(f"{path} has more than {LARGEST} bytes")
    return content


def _parsed(address: str, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed(f"{address} holds no JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ProviderFailed(f'{address} holds no key set, which has "keys" (RFC 7517, 5)')
    return document
