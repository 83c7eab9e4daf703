"""The instance of the fault tests: says who it is, keeps what is posted, echoes WebSockets, takes orders into a
database. Environment: PORT, CLOUDLET_INSTANCE; POSTED, a file that every instance appends to; DELAY, seconds before
it serves; DATABASE_URL."""

from __future__ import annotations

import asyncio
import os

from aiohttp import web

NAME = os.environ["CLOUDLET_INSTANCE"]
routes = web.RouteTableDef()


@routes.get("/ws")
async def echo(request: web.Request) -> web.WebSocketResponse:
    channel = web.WebSocketResponse()
    await channel.prepare(request)
    async for message in channel:
        await channel.send_str(f"{NAME} {message.data}")
    return channel


@routes.post("/order")
async def order(request: web.Request) -> web.Response:
    import psycopg

    number = int(request.headers["X-Number"])
    try:
        async with await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], connect_timeout=2) as database:
            await database.execute("insert into placed (number) values (%s) on conflict do nothing", (number,))
    except psycopg.Error as error:
        return web.Response(status=503, text=str(error))
    return web.Response(status=201)


@routes.post("/{rest:.*}")
async def keep(request: web.Request) -> web.Response:
    line = f"{request.headers.get('X-Number', '')} {NAME}\n".encode()
    descriptor = os.open(os.environ["POSTED"], os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, line)
    os.close(descriptor)
    return web.Response(status=201, headers={"X-Instance": NAME})


@routes.get("/slow/{seconds}")
async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.match_info["seconds"]))
    return web.Response(text=NAME, headers={"X-Instance": NAME})


@routes.get("/{rest:.*}")
async def answer(_: web.Request) -> web.Response:
    return web.Response(text=NAME, headers={"X-Instance": NAME})


async def main() -> web.Application:
    await asyncio.sleep(float(os.environ.get("DELAY", "0")))
    app = web.Application()
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    web.run_app(main(), host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None, print=None)
