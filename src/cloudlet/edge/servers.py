"""Servers of the running HAProxy: they come, drain and go over the runtime socket, without a reload."""

from __future__ import annotations

import asyncio
import time

from cloudlet.contracts.edge import Backend, Server
from cloudlet.edge.render_server import address, server_arguments
from cloudlet.edge.socket import RuntimeSocket
from cloudlet.edge.statistics import parse
from cloudlet.errors import EngineFailed

#: seconds between two attempts to delete a server that still has connections, growing from the first to the second
_ATTEMPT, _LATER_ATTEMPT = 0.005, 0.25
#: seconds that HAProxy gets to close connections that were cut
_CUT = 2.0
_GONE = "No such server"
_BUSY = "still has connections"


class Servers:
    """Every method raises EngineFailed with HAProxy's words when it does not obey."""

    def __init__(self, socket: RuntimeSocket) -> None:
        self._socket = socket

    async def add(self, backend: Backend, server: Server) -> None:
        """It takes requests when this returns. HAProxy believes it up before its first check, so add one only when
        it is really ready; and it begins in maintenance and unchecked, hence the rest of the commands."""
        path = f"{backend.name}/{server.name}"
        commands = [f"add server {path} {address(server)} {server_arguments(backend, server)}"]
        if backend.check is not None:
            commands.append(f"enable health {path}")
        await self._socket.ask(*commands, f"enable server {path}")

    async def drain(self, backend: str, server: str) -> None:
        """No new requests, except those of a sticky client; what it has goes on."""
        await self._state(backend, server, "drain")

    async def ready(self, backend: str, server: str) -> None:
        await self._state(backend, server, "ready")

    async def maintenance(self, backend: str, server: str) -> None:
        """No request any more; what it has goes on."""
        await self._state(backend, server, "maint")

    async def set_weight(self, backend: str, server: str, weight: int) -> None:
        """Effective at once, 0 to 256."""
        await self._socket.ask(f"set server {backend}/{server} weight {weight}")

    async def delete(self, backend: str, server: str, within: float) -> None:
        """Forget a server in maintenance once its connections have ended; after `within` seconds they are cut, which
        hangs up on their clients without an answer. One that is not there is deleted already."""
        if not await self._deleted_until(backend, server, time.monotonic() + within):
            await self.cut(backend, server)
            if not await self._deleted_until(backend, server, time.monotonic() + _CUT):
                raise EngineFailed(f"haproxy keeps connections of {backend}/{server} {_CUT:g} s after they were cut")

    async def cut(self, backend: str, server: str) -> None:
        await self._socket.ask(f"shutdown sessions server {backend}/{server}")

    async def _deleted_until(self, backend: str, server: str, deadline: float) -> bool:
        attempt = 0
        while not await self._deleted(backend, server):
            if time.monotonic() >= deadline:
                return False
            if not await self._sessions(backend, server):
                await self._close_idle(backend, server, attempt)
            attempt += 1
            await asyncio.sleep(min(_ATTEMPT * attempt, _LATER_ATTEMPT))
        return True

    async def _close_idle(self, backend: str, server: str, attempt: int) -> None:
        """A connection that was in use when maintenance began stays open, idle, and hinders the deletion. HAProxy
        closes those when the address changes, and nobody is sent there meanwhile: ports 1 and 2 in turn."""
        await self._socket.ask(f"set server {backend}/{server} addr 127.0.0.1 port {1 + attempt % 2}")

    async def _sessions(self, backend: str, server: str) -> int:
        found = parse(await self._socket.ask(f"show stat {backend} 6 -1"))
        return sum(item.sessions for group in found for item in group.servers if item.name == server)

    async def _deleted(self, backend: str, server: str) -> bool:
        try:
            await self._socket.ask(f"del server {backend}/{server}")
        except EngineFailed as error:
            if _GONE in str(error):
                return True
            if _BUSY in str(error):
                return False
            raise
        return True

    async def _state(self, backend: str, server: str, state: str) -> None:
        await self._socket.ask(f"set server {backend}/{server} state {state}")
