"""Accounts and sessions. PostgreSQL has them; Valkey remembers for a while which sessions are open.

Signing out deletes the session in both. A verification that read it just before may put it back into the
cache, where it lives on for `REMEMBERED` seconds at most.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import passwords
import tokens
from shared.app import HTTPError
from shared.cache import Cache
from shared.database import Connection, Database

#: seconds that the cache remembers an open session
REMEMBERED = 30

_INSERT_USER = "insert into users (id, name, password) values (%s, %s, %s) on conflict (name) do nothing"
_INSERT_SESSION = """
    insert into sessions (id, user_id, expires_at) values (%s, %s, to_timestamp(%s))
    on conflict (id) do nothing
"""


class Accounts:
    """`key` signs tokens, `lifetime` is that of a session and its token, in seconds; `admins` may change prices."""

    def __init__(self, database: Database, cache: Cache, key: bytes, lifetime: int, admins: frozenset[str]) -> None:
        self._database, self._cache = database, cache
        self._key, self._lifetime, self._admins = key, lifetime, admins

    async def sign_up(self, name: str, password: str) -> None:
        """Raises HTTPError 409 when the name is taken."""
        new, stored = uuid.uuid4(), await passwords.hashed(password)

        async def insert(connection: Connection) -> bool:
            await connection.execute(_INSERT_USER, (new, name, stored))
            row = await (await connection.execute("select id from users where name = %s", (name,))).fetchone()
            return row is not None and row["id"] == new

        if not await self._database.run(insert):
            raise HTTPError(409, f"the name {name} is taken")

    async def sign_in(self, name: str, password: str) -> str:
        """A token. Raises HTTPError 401, the same for a wrong name and a wrong password."""
        user = await self._first("select id, password from users where name = %s", name)
        stored = None if user is None else user["password"]
        if not await passwords.matches(password, stored) or user is None:
            raise HTTPError(401, "the name or the password is wrong")
        session, expires = uuid.uuid4(), int(time.time()) + self._lifetime

        async def open_session(connection: Connection) -> None:
            await connection.execute("delete from sessions where expires_at < now()")
            await connection.execute(_INSERT_SESSION, (session, user["id"], expires))

        await self._database.run(open_session)
        roles = ["admin"] if name in self._admins else ["buyer"]
        return tokens.sign({"sub": name, "roles": roles, "session": str(session), "exp": expires}, self._key)

    async def verify(self, token: str) -> dict[str, Any]:
        """The token's claims, while its session is open. Raises HTTPError 401."""
        claims = tokens.verify(token, self._key, time.time())
        if claims is None or not await self._is_open(claims["session"]):
            raise HTTPError(401, "the token does not hold; sign in again", {"www-authenticate": "Bearer"})
        return claims

    async def sign_out(self, token: str) -> None:
        claims = await self.verify(token)

        async def close(connection: Connection) -> None:
            await connection.execute("delete from sessions where id = %s", (claims["session"],))

        await self._database.run(close)
        await self._cache.delete(f"session:{claims['session']}")

    async def _is_open(self, session: str) -> bool:
        if await self._cache.get(f"session:{session}"):
            return True
        row = await self._first("select 1 as one from sessions where id = %s and expires_at > now()", session)
        if row is not None:
            await self._cache.set(f"session:{session}", True, REMEMBERED)
        return row is not None

    async def _first(self, query: str, *values: object) -> dict[str, Any] | None:
        async def read(connection: Connection) -> dict[str, Any] | None:
            return await (await connection.execute(query.encode(), values)).fetchone()

        return await self._database.run(read)
