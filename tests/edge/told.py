"""An upstream that answers as the query says: `?header=Name:Value` (several), `status`, `body`, `size`, `wait`."""

from __future__ import annotations

import asyncio

from aiohttp import web

from cloudlet.contracts.edge import Server


class Told:
    """Counts what it is asked, by path, and remembers the last request's headers and body."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> Told:
        application = web.Application(client_max_size=1024**3)
        application.router.add_get("/ws", self._echo)
        application.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    def server(self, name: str = "a-1") -> Server:
        return Server(name, int(name.rpartition("-")[2]), "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] = self.asked.get(request.path, 0) + 1
        self.headers = [(name.lower(), value) for name, value in request.headers.items()]
        self.body = await request.read()
        query = request.query
        await asyncio.sleep(float(query.get("wait", "0")))
        body = query.get("body", str(self.asked[request.path])).encode() + b"x" * int(query.get("size", "0"))
        answer = web.Response(status=int(query.get("status", "200")), body=body)
        answer.headers["Content-Type"] = query.get("type", "text/plain")
        for line in query.getall("header", []):
            name, _, value = line.partition(":")
            answer.headers.add(name, value)
        return answer

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        channel = web.WebSocketResponse()
        await channel.prepare(request)
        async for message in channel:
            await channel.send_str(message.data)
        return channel
