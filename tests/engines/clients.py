"""How a service uses each engine, through the ordinary client library and nothing but its own address."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import nats
import nats.errors
import psycopg
from nats.js.errors import NotFoundError
from valkey.asyncio import Valkey
from valkey.exceptions import AuthenticationError


class Client(Protocol):
    """`refusals` are the errors of a login that is turned away."""

    variable: str
    refusals: tuple[type[Exception], ...]

    async def put(self, url: str, key: str, value: str) -> None:
        """Returns when the engine acknowledged it."""

    async def get(self, url: str, key: str) -> str | None: ...


class PostgresClient:
    variable = "SHOP_DB_URL"
    refusals = (psycopg.OperationalError,)

    async def put(self, url: str, key: str, value: str) -> None:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=5) as connection:
            await connection.execute("create table if not exists things (key text primary key, value text)")
            await connection.execute(
                "insert into things values (%s, %s) on conflict (key) do update set value = excluded.value",
                (key, value),
            )

    async def get(self, url: str, key: str) -> str | None:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=5) as connection:
            cursor = await connection.execute("select value from things where key = %s", (key,))
            row = await cursor.fetchone()
            return None if row is None else row[0]


class ValkeyClient:
    variable = "SHOP_DB_URL"
    refusals = (AuthenticationError,)

    async def put(self, url: str, key: str, value: str) -> None:
        async with Valkey.from_url(url) as client:
            await client.set(key, value)

    async def get(self, url: str, key: str) -> str | None:
        async with Valkey.from_url(url, decode_responses=True) as client:
            return await client.get(key)


class NatsClient:
    variable = "SHOP_DB_URL"
    refusals = (nats.errors.Error,)

    async def put(self, url: str, key: str, value: str) -> None:
        async with await _nats(url) as client:
            stream = client.jetstream()
            await stream.add_stream(name="things", subjects=["things.*"])
            await stream.publish(f"things.{key}", value.encode())

    async def get(self, url: str, key: str) -> str | None:
        async with await _nats(url) as client:
            try:
                return (await client.jetstream().get_last_msg("things", f"things.{key}")).data.decode()
            except NotFoundError:
                return None


async def _nats(url: str) -> nats.aio.client.Client:
    async def hush(_: Exception) -> None:
        """The library prints every error otherwise; what counts is raised."""

    return await nats.connect(url, allow_reconnect=False, connect_timeout=5, error_cb=hush)


CLIENTS: dict[str, Client] = {"postgres": PostgresClient(), "valkey": ValkeyClient(), "nats": NatsClient()}


def with_login(url: str, login: str) -> str:
    """The same address under another `user:password`; none at all when it is empty."""
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=f"{login}@{where}" if login else where))
