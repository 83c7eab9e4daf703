"""Opaque tokens, asked for at the server that gave them (RFC 7662).

Answers count for `cache` seconds, a token's own expiry ends that sooner. They are kept by the token's hash: what leaks
from this memory opens nothing. Several requests with one token ask once; tokens that are not active have a memory of
their own, so that a flood of invented ones cannot drive out the real ones.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import quote

from cloudlet.errors import ProviderFailed
from cloudlet.gateway.tokens.claims import Principal, Rejected, check_times, principal
from cloudlet.gateway.tokens.fetch import Fetcher
from cloudlet.gateway.tokens.jwt import LONGEST
from cloudlet.stack.identity import Oauth

#: answers kept, of either kind
MOST = 10_000
#: questions under way at once; the rest wait
AT_ONCE = 64

_Answer = Principal | Rejected


class Memory:
    """The latest answers until each one's end; the one not used for longest goes first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, tuple[float, _Answer]] = OrderedDict()

    def get(self, key: bytes, now: float) -> _Answer | None:
        until, answer = self._kept.get(key, (0.0, None))
        if until <= now:
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return answer

    def put(self, key: bytes, answer: _Answer, until: float) -> None:
        self._kept[key] = (until, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


class Introspection:
    """One server below `identity.oauth`."""

    def __init__(
        self, name: str, settings: Oauth, fetcher: Fetcher, clock: Callable[[], float] = time.time, most: int = MOST
    ) -> None:
        self._name, self._settings, self._fetcher, self._clock = name, settings, fetcher, clock
        self._active, self._inactive = Memory(most), Memory(most)
        self._asking: dict[bytes, asyncio.Task[_Answer]] = {}
        self._free = asyncio.Semaphore(AT_ONCE)

    async def check(self, token: str) -> Principal:
        """Who the token speaks for. Raises Rejected, or ProviderFailed where the server does not tell."""
        if not token or len(token) > LONGEST:
            raise Rejected("malformed")
        key, now = hashlib.sha256(token.encode()).digest(), self._clock()
        answer = self._active.get(key, now) or self._inactive.get(key, now)
        if answer is None:
            answer = await asyncio.shield(self._asked(key, token))
        if isinstance(answer, Rejected):
            raise Rejected(answer.because)
        return answer

    def _asked(self, key: bytes, token: str) -> asyncio.Task[_Answer]:
        """The question under way, or a new one; it goes on when who asked first has left."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, token))
            task.add_done_callback(lambda done: self._done(key, done))
        return task

    def _done(self, key: bytes, task: asyncio.Task[_Answer]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # told to whoever still waits; nobody need

    async def _ask(self, key: bytes, token: str) -> _Answer:
        async with self._free:
            form = {"token": token, "token_type_hint": "access_token"}
            status, fields = await self._fetcher.post(self._settings.introspection, form, self._credentials())
        if status != 200:
            raise ProviderFailed(
                f"identity.oauth.{self._name}: {self._settings.introspection} answered {status}; "
                "check client_id and client_secret"
            )
        now, settings = self._clock(), self._settings
        until = now + settings.cache
        try:
            answer = self._read(fields, now)
            self._active.put(key, answer, min(until, answer.expires or until))
        except Rejected as rejected:
            self._inactive.put(key, rejected, until)
            return rejected
        return answer

    def _read(self, fields: dict[str, object], now: float) -> Principal:
        if fields.get("active") is not True:
            raise Rejected("inactive")
        settings = self._settings
        check_times({"exp": now + 1, **fields}, now, 0.0)
        claims = {name: value for name, value in fields.items() if name != "active"}
        return principal(claims, settings.user, settings.roles, settings.scopes)

    def _credentials(self) -> dict[str, str]:
        return basic(self._settings.client_id, self._settings.client_secret)


def basic(client_id: str, client_secret: str) -> dict[str, str]:
    """Client credentials in a header; both are form-encoded first (RFC 6749, 2.3.1)."""
    pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
