"""Who may do what in a cluster: a service logs in as itself and acts as the owner of the database.

    orders ─┐ member of, and `set role` on connecting
            ├─> shop_db_owner (cannot log in) owns database shop_db
    users ──┘

So a table that one service makes is at once the others', and a service can still be shut out by itself. The
names cannot meet: services have no underscore in theirs.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from cloudlet.contracts.secret import Credential

#: serialises admissions in a cluster: "cloudlet" as eight bytes, read as a number
_LOCK = int.from_bytes(b"cloudlet", "big")

Connection = psycopg.AsyncConnection[Any]


async def admit(connection: Connection, database: str, credential: Credential) -> None:
    """Give a service its role, as superuser in autocommit. Repeating it repairs what was changed."""
    owner = f"{database}_owner"
    await connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
    await _own_database(connection, database, owner)
    await _let_in(connection, database, owner, credential)


async def _own_database(connection: Connection, database: str, owner: str) -> None:
    if not await _has(connection, "select 1 from pg_roles where rolname = %s", owner):
        await _do(connection, "create role {} nologin", owner)
    if not await _has(connection, "select 1 from pg_database where datname = %s", database):
        await _do(connection, "create database {} owner {}", database, owner)
    await _do(connection, "alter database {} owner to {}", database, owner)
    for name in {database, "postgres", "template1"}:
        await _do(connection, "revoke all on database {} from public", name)


async def _let_in(connection: Connection, database: str, owner: str, credential: Credential) -> None:
    role = credential.user
    if not await _has(connection, "select 1 from pg_roles where rolname = %s", role):
        await _do(connection, "create role {} nologin", role)
    await _do(connection, "grant {} to {}", owner, role)
    await _do(connection, "alter role {} in database {} set role = {}", role, database, owner)
    powers = SQL("alter role {} login nosuperuser nocreatedb nocreaterole noreplication password {}")
    await connection.execute(powers.format(Identifier(role), Literal(_verifier(connection, credential))))


def _verifier(connection: Connection, credential: Credential) -> str:
    """The password as the server keeps it (SCRAM), made here so that no log of statements ever holds it."""
    password, user = credential.password.reveal().encode(), credential.user.encode()
    return connection.pgconn.encrypt_password(password, user, b"scram-sha-256").decode()


async def _has(connection: Connection, query: LiteralString, name: str) -> bool:
    cursor = await connection.execute(query, (name,))
    return await cursor.fetchone() is not None


async def _do(connection: Connection, statement: LiteralString, *names: str) -> None:
    await connection.execute(SQL(statement).format(*(Identifier(name) for name in names)))
