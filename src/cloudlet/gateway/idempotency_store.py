"""First answers to keyed requests, in Valkey, so that every instance of the gateway service knows them.

    cloudlet:idempotency:DIGEST    DIGEST of route, user and key

    P TOKEN FINGERPRINT            under way; expires when its holder stops renewing it
    D FINGERPRINT PACKED           done; PACKED (answers.py) is empty where the answer was too large to keep

TOKEN (32 hexadecimal digits) fences: who took over has another one, and a former holder changes nothing any more. An
entry that is gone altogether may still be written by its former holder: its answer is the true one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.exceptions import ValkeyError

_PREFIX = "cloudlet:idempotency:"
#: seconds
_CONNECT, _ANSWER = 1.0, 2.0
_CONNECTIONS = 64
#: KEYS: entry. ARGV: token, fingerprint, milliseconds. Answers the entry that is there, or nothing: it is taken.
_BEGIN = """
local there = redis.call('GET', KEYS[1])
if there then return there end
redis.call('SET', KEYS[1], 'P' .. ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return false
"""
#: KEYS: entry. ARGV: token, milliseconds, and the new content or nothing for the old one; '' takes the entry out.
_CHANGE = """
local there = redis.call('GET', KEYS[1])
if there and string.sub(there, 1, 33) ~= 'P' .. ARGV[1] then return 0 end
if not ARGV[3] then return there and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0 end
if ARGV[3] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
return 1
"""


class StoreAway(Exception):
    """The store does not answer."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that is ours to answer."""

    entry: str
    token: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Known:
    """A key that somebody was here with before. `packed` None: still under way; empty: too large to be kept."""

    fingerprint: str
    packed: bytes | None


class IdempotencyStore:
    """Every method raises StoreAway. `url` is a Valkey's."""

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_ANSWER,
            socket_connect_timeout=_CONNECT,
            socket_timeout=_ANSWER,
        )
        self._client: Valkey = Valkey(connection_pool=pool)
        self._begin = self._client.register_script(_BEGIN)
        self._change = self._client.register_script(_CHANGE)

    async def close(self) -> None:
        await self._client.aclose(close_connection_pool=True)

    async def begin(self, digest: str, fingerprint: str, lifetime: float) -> Claim | Known:
        """Take the key for `lifetime` seconds, or learn what is known of it."""
        claim = Claim(_PREFIX + digest, secrets.token_hex(16), fingerprint)
        there = await self._run(self._begin, claim, claim.token, fingerprint, _milliseconds(lifetime))
        if there is None:
            return claim
        return _known(there)

    async def renew(self, claim: Claim, lifetime: float) -> bool:
        """False when it is not ours any more."""
        return bool(await self._run(self._change, claim, claim.token, _milliseconds(lifetime)))

    async def finish(self, claim: Claim, packed: bytes, keep: float) -> bool:
        """Keep the answer so many seconds. False when it is not ours any more."""
        content = b"D" + claim.fingerprint.encode() + packed
        return bool(await self._run(self._change, claim, claim.token, _milliseconds(keep), content))

    async def release(self, claim: Claim) -> None:
        await self._run(self._change, claim, claim.token, 1, b"")

    async def _run(self, script: object, claim: Claim, *arguments: str | int | bytes) -> bytes | int | None:
        try:
            result: bytes | int | None = await script(keys=[claim.entry], args=arguments)  # type: ignore[operator]
        except (ValkeyError, OSError, TimeoutError) as error:
            raise StoreAway(str(error)) from error
        return result


def _known(there: bytes | int) -> Known:
    assert isinstance(there, bytes), "entries are bytes"
    if there[:1] == b"P":
        return Known(there[33:97].decode(), None)
    return Known(there[1:65].decode(), there[65:])


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
