"""A tiny real HTTP server that answers with its name, and counts and records what it is sent.

GET /anything        200, JSON: name, method, path, headers
GET /status/NNN      that status
GET /sleep/SECONDS   200 after so long
GET /health          the status in `health`
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Upstream:
    """One server on a port of its own; `delay` seconds before each answer."""

    name: str
    delay: float = 0.0
    health: int = 200
    host: str = "127.0.0.1"
    port: int = 0
    requests: int = 0
    checks: int = 0
    most_at_once: int = 0
    at_once: int = 0
    bodies: list[bytes] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> Upstream:
        self._runner = web.AppRunner(_application(self), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, port, backlog=4096)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(request)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if body:
            self.bodies.append(body)
        _, kind, *rest = request.path.split("/")
        wait = float(rest[0]) if kind == "sleep" else self.delay
        if wait:
            await asyncio.sleep(wait)
        said = {
            "name": self.name,
            "method": request.method,
            "path": request.raw_path,
            "headers": [[key.lower(), value] for key, value in request.headers.items()],
            "body": body.decode(errors="replace"),
        }
        status = int(rest[0]) if kind == "status" else 200
        return web.Response(status=status, text=json.dumps(said), content_type="application/json")

    async def check(self, _: web.Request) -> web.Response:
        self.checks += 1
        return web.Response(status=self.health)

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        channel = web.WebSocketResponse()
        await channel.prepare(request)
        async for message in channel:
            await channel.send_str(f"{self.name}:{message.data}")
        return channel


def _application(upstream: Upstream) -> web.Application:
    application = web.Application()
    application.router.add_get("/health", upstream.check)
    application.router.add_get("/ws", upstream.echo)
    application.router.add_route("*", "/{rest:.*}", upstream.answer)
    return application
