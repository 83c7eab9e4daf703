"""An upstream in a process of its own: prints its port, and appends every body it gets to the file it is given."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import web


async def _serve(log: Path) -> None:
    file = log.open("ab", buffering=0)

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        if body:
            file.write(body + b"\n")
        return web.Response(text="ok")

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
