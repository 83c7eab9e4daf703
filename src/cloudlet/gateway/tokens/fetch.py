"""Asks identity providers: bounded in time and size, by https or to this machine, never redirected.

A key set or an introspection that came over plain http could be anybody's, and a redirect would lead the gateway to
addresses that the file does not name; both are refused rather than followed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from cloudlet.errors import ProviderFailed
from cloudlet.stack.identity.trust import refusal

#: seconds for a whole exchange
TIMEOUT = 5.0
#: bytes of an answer; the largest key sets in use have some 20 kB
LARGEST = 512_000


class Fetcher:
    """One pool of connections to providers. Every failure is ProviderFailed."""

    def __init__(self, timeout: float = TIMEOUT, largest: int = LARGEST) -> None:
        self._timeout, self._largest = aiohttp.ClientTimeout(timeout), largest
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at the address."""
        status, answer = await self._ask("GET", url, headers=dict(headers or {}))
        if status != 200:
            raise ProviderFailed(f"{url} answered {status}, not 200; check the address")
        return answer

    async def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of the answer to a form."""
        return await self._ask("POST", url, headers=dict(headers or {}), data=dict(form))

    async def _ask(self, method: str, url: str, **settings: Any) -> tuple[int, dict[str, Any]]:
        reason = refusal(url)
        if reason:
            raise ProviderFailed(f"{url} is not asked: {reason}")
        settings["headers"].setdefault("Accept", "application/json")
        try:
            async with self._open().request(method, url, allow_redirects=False, **settings) as answer:
                return answer.status, self._parsed(url, await self._body(url, answer))
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            raise ProviderFailed(f"{url} did not answer: {str(error) or type(error).__name__}") from error

    async def _body(self, url: str, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._largest:
                raise ProviderFailed(f"{url} answered more than {self._largest} bytes")
        return bytes(body)

    @staticmethod
    def _parsed(url: str, body: bytes) -> dict[str, Any]:
        try:
            value = json.loads(body) if body else {}
        except (ValueError, RecursionError) as error:
            raise ProviderFailed(f"{url} did not answer with JSON") from error
        if not isinstance(value, dict):
            raise ProviderFailed(f"{url} answered with JSON that is no object")
        return value

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
