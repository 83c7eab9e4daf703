"""Passwords, kept as `scrypt$SALT$HASH` in hexadecimal.

The cost is RFC 7914's for interactive sign-in: 16 MB and about 50 ms of a core, on purpose. So it runs in a
thread, two at a time, and the loop stays free to verify tokens.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os

_COST = {"n": 2**14, "r": 8, "p": 1}
_at_once = asyncio.Semaphore(2)


async def hashed(password: str) -> str:
    salt = os.urandom(16)
    return f"scrypt${salt.hex()}${(await _scrypt(password, salt)).hex()}"


async def matches(password: str, stored: str | None) -> bool:
    """Whether it is the password; takes as long when there is no such user, so that time tells nothing."""
    _, salt, expected = (stored or f"scrypt${'00' * 16}${'00' * 64}").split("$")
    found = await _scrypt(password, bytes.fromhex(salt))
    return hmac.compare_digest(found, bytes.fromhex(expected)) and stored is not None


async def _scrypt(password: str, salt: bytes) -> bytes:
    async with _at_once:
        return await asyncio.to_thread(hashlib.scrypt, password.encode(), salt=salt, **_COST)
