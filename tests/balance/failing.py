"""A server on which every request fails: it closes each connection, or nobody listens there at all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass
class Failing:
    """`listens` false: connections are refused."""

    listens: bool
    port: int = 0
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Failing:
        self._server = await asyncio.start_server(self._close, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        if not self.listens:
            self._server.close()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _close(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.close()
