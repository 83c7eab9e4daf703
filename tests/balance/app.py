"""An instance that behaves as it is told, while it runs. Standard library only, so that it starts at once.

The file BEHAVIOUR/NAME.json of its own name (missing: all as usual) holds
    delay    seconds before each answer
    status   of each answer, 200 unless said
    close    true: closes the connection instead of answering
    burn     the share of a core to use up beside all that
    health   status of /health, 200 unless said
and is read again with each request and ten times a second. …/hold waits until BEHAVIOUR/released exists.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

NAME = os.environ["CLOUDLET_INSTANCE"]
BEHAVIOUR = Path(os.environ["BEHAVIOUR"])
#: seconds: how long burning and resting take together
PERIOD = 0.1


def behaviour() -> dict[str, Any]:
    try:
        return dict(json.loads((BEHAVIOUR / f"{NAME}.json").read_text()))
    except FileNotFoundError:
        return {}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if not await answer(head.split(b" ")[1].decode(), writer):
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def answer(path: str, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection may go on."""
    now = behaviour()
    if path == "/health":
        status = now.get("health", 200)
    elif now.get("close"):
        return False
    else:
        status = now.get("status", 200)
        await asyncio.sleep(now.get("delay", 0))
        while path.endswith("/hold") and not (BEHAVIOUR / "released").exists():
            await asyncio.sleep(0.005)
    head = f"HTTP/1.1 {status} Said\r\nX-Instance: {NAME}\r\nContent-Length: {len(NAME)}\r\n\r\n"
    writer.write((head + NAME).encode())
    await writer.drain()
    return True


async def burn() -> None:
    while True:
        share, again = behaviour().get("burn", 0.0), time.monotonic() + PERIOD
        until = time.thread_time() + share * PERIOD
        while time.thread_time() < until:
            await asyncio.sleep(0)
        await asyncio.sleep(max(0.0, again - time.monotonic()))


async def main() -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]), backlog=1024) as server:
        await asyncio.gather(server.serve_forever(), burn())


if __name__ == "__main__":
    asyncio.run(main())
