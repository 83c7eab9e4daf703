"""PostgreSQL for a service: a few pooled connections, and transactions that outlive a restart of the server.

Work is given as a function and may run more than once, so what it does must be safe to repeat. A
transaction whose COMMIT got no answer may or may not have happened: work that inserts carries a key of its
own and looks for it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from psycopg import AsyncConnection, OperationalError
from psycopg.errors import QueryCanceled
from psycopg.rows import dict_row

from shared.app import HTTPError

Connection = AsyncConnection[dict[str, Any]]
Result = TypeVar("Result")

#: seconds for which a request tries again while the server is away: a restart takes one or two
PATIENCE = 10.0
#: seconds for a service that starts before its database has
PATIENCE_AT_START = 60.0
#: milliseconds after which the server gives up on a statement
STATEMENT_TIMEOUT = 5000
#: any number, the same for every service: who holds it may change the schema
_SCHEMA_LOCK = 0x5409


class Database:
    """Connects when first asked, not when made. `size` bounds the connections of one instance."""

    def __init__(self, url: str, size: int = 8) -> None:
        self._url = url
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(size)

    async def run(self, work: Callable[[Connection], Awaitable[Result]], patience: float = PATIENCE) -> Result:
        """Do `work` in one transaction; again while connections are lost. Raises HTTPError 503 in the end."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + patience
        pause = 0.02
        while True:
            try:
                async with self._connection() as connection, connection.transaction():
                    return await work(connection)
            except QueryCanceled:
                raise HTTPError(503, "the database is too slow just now", {"retry-after": "1"}) from None
            except OperationalError:
                if clock() + pause > give_up:
                    message = "the database is away; please try again"
                    raise HTTPError(503, message, {"retry-after": "1"}) from None
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 0.5)

    async def migrate(self, schema: Path) -> None:
        """Run a file of idempotent statements, one instance at a time; waits for a server still starting."""

        async def apply(connection: Connection) -> None:
            await connection.execute("select pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
            await connection.execute(schema.read_bytes())

        await self.run(apply, PATIENCE_AT_START)

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with self._free:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                yield connection
            except OperationalError:
                await connection.close()
                await self.close()  # the others were lost with it
                raise
            except BaseException:
                await self._keep(connection)
                raise
            await self._keep(connection)

    async def _keep(self, connection: Connection) -> None:
        if connection.closed or connection.info.transaction_status.name != "IDLE":
            await connection.close()
        else:
            self._idle.append(connection)

    async def _connect(self) -> Connection:
        return await AsyncConnection.connect(
            self._url,
            autocommit=True,  # so that only `run` begins transactions
            row_factory=dict_row,
            connect_timeout=3,
            options=f"-c statement_timeout={STATEMENT_TIMEOUT} -c idle_in_transaction_session_timeout=5000",
        )
