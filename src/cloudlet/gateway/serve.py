"""The process: reads its configuration, serves on loopback by Granian within this one process (so that no worker can
be left behind), and on SIGTERM ends when what is under way is answered."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from pathlib import Path

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server as Granian

from cloudlet.contracts.gateway import CONFIGURATION, GatewayConfiguration
from cloudlet.gateway.asgi import Server
from cloudlet.gateway.assembly import assemble
from cloudlet.gateway.private_file import read

_BACKLOG = 4096
#: requests at once; the edge sends at most the service's `concurrency`
_AT_ONCE = 8192
#: seconds; the keeper's own grace ends it before
_LONGEST_DRAIN = 3600.0


def run(port: int, config: Path) -> None:
    """Serve until SIGTERM or SIGINT. Raises OperatorError."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    uvloop.run(_serve(port, read(config, CONFIGURATION, "cloudlet-gateway")))


async def _serve(port: int, configuration: GatewayConfiguration) -> None:
    application = assemble(configuration)
    server = Server(application)
    granian = Granian(
        server,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_AT_ONCE,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await application.start()
    _settle()
    serving = asyncio.create_task(granian.serve())
    try:
        await asyncio.wait({serving, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            granian.stop()  # type: ignore[no-untyped-call]
            await _drained(server)
        await serving
    finally:
        await application.stop()


def _settle() -> None:
    """What is there now stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)


async def _drained(server: Server) -> None:
    """Returns when nothing is under way."""
    async with asyncio.timeout(_LONGEST_DRAIN):
        while server.under_way:
            await asyncio.sleep(0.02)
