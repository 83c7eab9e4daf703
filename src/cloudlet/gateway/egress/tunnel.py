"""CONNECT: two connections joined until both ways have ended, one is lost, or nothing passed for too long."""

from __future__ import annotations

import asyncio

from cloudlet.gateway.egress.wire import Wire

#: seconds in which the rest of what was sent must be taken, once one side is gone
_FLUSH = 5.0


async def tunnel(client: Wire, upstream: Wire, idle: float) -> str:
    """Pass bytes both ways; each end is passed on as it comes (half-close). Why it ended, empty when orderly."""
    try:
        client.join(upstream)
        upstream.join(client)
        return await _until_ended(client, upstream, idle)
    finally:
        client.abort()
        upstream.abort()


async def _until_ended(client: Wire, upstream: Wire, idle: float) -> str:
    loop = asyncio.get_running_loop()
    while True:
        quiet = loop.time() - max(client.active, upstream.active)
        if quiet >= idle:
            return f"nothing passed for {idle:.0f} s"
        done, _ = await asyncio.wait(
            {client.ended, upstream.ended}, timeout=idle - quiet, return_when=asyncio.FIRST_COMPLETED
        )
        if done:
            break
    # one side is gone: the other gets what was still on its way, then its end
    client.close()
    upstream.close()
    await asyncio.wait({client.ended, upstream.ended}, timeout=_FLUSH)
    return ""
