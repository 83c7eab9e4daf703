"""The HTTP server of an issuer's key set, which behaves or not as it is told."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

SET = {"keys": [{"kty": "EC"}]}


class Issuer:
    """Serves `body`, with `status`, or hangs."""

    def __init__(self) -> None:
        self.body, self.status, self.headers = json.dumps(SET), 200, {}
        self.hang = asyncio.Event()
        self.hang.set()
        self.asked = 0

    async def start(self) -> Issuer:
        application = web.Application()
        application.router.add_get("/{rest:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/keys"
        return self

    async def stop(self) -> None:
        self.hang.set()
        await self._runner.cleanup()

    async def _serve(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.hang.wait()
        return web.Response(status=self.status, text=self.body, headers=self.headers)
