"""The instance of the fault tests: says who it is, keeps what is posted (number or key, instance, monotonic seconds),
echoes WebSockets, takes orders into a database, counts visits in a cache. Environment: PORT, CLOUDLET_INSTANCE; POSTED
and TAKEN, files that every instance appends to; DELAY, seconds before it serves; DATABASE_URL and REDIS_URL where it
has one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import psycopg
    from valkey.asyncio import Valkey

NAME = os.environ["CLOUDLET_INSTANCE"]
ORDERS: web.AppKey[Orders] = web.AppKey("orders")
VISITS: web.AppKey[Valkey] = web.AppKey("visits")
#: seconds between two attempts to reach a database or cache that is away
PAUSE = 0.02
routes = web.RouteTableDef()


def append(path: str, lines: str) -> None:
    """At once and whole, beside whoever else appends."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, lines.encode())
    os.close(descriptor)


@routes.get("/ws")
async def echo(request: web.Request) -> web.WebSocketResponse:
    channel = web.WebSocketResponse()
    await channel.prepare(request)
    async for message in channel:
        await channel.send_str(f"{NAME} {message.data}")
    return channel


@routes.post("/order")
async def order(request: web.Request) -> web.Response:
    """201 says that the row is committed; DATABASE_URL's being away makes it late, not lost."""
    await request.app[ORDERS].take(int(request.headers["X-Number"]))
    return web.Response(status=201)


@routes.get("/visit")
async def visit(request: web.Request) -> web.Response:
    """Counts in REDIS_URL, again and again until it answers."""
    from valkey.exceptions import ConnectionError as Away

    while True:
        with contextlib.suppress(Away):
            return web.Response(text=str(await request.app[VISITS].incr("visits")))
        await asyncio.sleep(PAUSE)


@routes.post("/{rest:.*}")
async def keep(request: web.Request) -> web.Response:
    number = request.headers.get("X-Number") or request.headers.get("Idempotency-Key", "")
    append(os.environ["POSTED"], f"{number} {NAME} {time.monotonic()}\n")
    return web.Response(status=201, headers={"X-Instance": NAME})


@routes.get("/slow/{seconds}")
async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.match_info["seconds"]))
    return web.Response(text=NAME, headers={"X-Instance": NAME})


@routes.get("/json/{rest}")
async def record(_: web.Request) -> web.Response:
    return web.json_response({"name": NAME, "secret": "told to nobody"})


@routes.get("/{rest:.*}")
async def answer(_: web.Request) -> web.Response:
    return web.Response(text=NAME, headers={"X-Instance": NAME})


class Orders:
    """Takes orders on one connection; those that come while it commits share the next commit. Each is in the table
    `placed` at most once, and its number in the file TAKEN before anybody is told."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._come = asyncio.Event()
        self._task = asyncio.create_task(self._write())

    async def take(self, number: int) -> None:
        taken = asyncio.get_running_loop().create_future()
        self._waiting.append((number, taken))
        self._come.set()
        await taken

    async def _write(self) -> None:
        import psycopg

        while True:
            with contextlib.suppress(psycopg.Error):
                url = os.environ["DATABASE_URL"]
                async with await psycopg.AsyncConnection.connect(url, autocommit=True) as database:
                    await self._write_on(database)
            await asyncio.sleep(PAUSE)

    async def _write_on(self, database: psycopg.AsyncConnection) -> None:
        await database.execute("create table if not exists placed (number bigint primary key)")
        while True:
            await self._come.wait()
            batch = self._waiting[:100]
            numbers = [number for number, _ in batch]
            await database.execute("insert into placed select unnest(%s::bigint[]) on conflict do nothing", (numbers,))
            del self._waiting[: len(batch)]
            if not self._waiting:
                self._come.clear()
            append(os.environ["TAKEN"], "".join(f"{number}\n" for number in numbers))
            for _, taken in batch:
                if not taken.done():
                    taken.set_result(None)


async def begin(app: web.Application) -> None:
    """Open what the environment gives."""
    if "DATABASE_URL" in os.environ:
        app[ORDERS] = Orders()
    if "REDIS_URL" in os.environ:
        from valkey.asyncio import Valkey

        app[VISITS] = Valkey.from_url(os.environ["REDIS_URL"])


async def main() -> web.Application:
    await asyncio.sleep(float(os.environ.get("DELAY", "0")))
    app = web.Application()
    app.add_routes(routes)
    app.on_startup.append(begin)
    return app


if __name__ == "__main__":
    web.run_app(main(), host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None, print=None)
