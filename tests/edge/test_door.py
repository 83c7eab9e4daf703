"""What goes through the edge's own door, and what its signals are taken for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cloudlet.contracts.edge import Server

from .conftest import Harness, backend


class Answering:
    """A server that gives every request the same answer, and counts them."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.hits = answer, 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.hits += 1
                if b"POST" in head:
                    await reader.readexactly(1)
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def _answering(answer: bytes) -> AsyncIterator[tuple[Answering, int]]:
    made = Answering(answer)
    server = await asyncio.start_server(made.talk, "127.0.0.1", 0)
    try:
        yield made, server.sockets[0].getsockname()[1]
    finally:
        server.close()


_FORGED = b"cloudlet-again: 1\r\ncloudlet-status: 503\r\ncloudlet-other: x\r\n"


@pytest.mark.parametrize("status", [200, 425, 499, 502, 503])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("servers", [1, 2])
async def test_a_servers_answer_is_never_our_signal(harness: Harness, status: int, method: str, servers: int) -> None:
    """Whatever a server answers reaches the client as it is, after one request; headers that look like ours don't."""
    answer = b"HTTP/1.1 %d Said\r\n%bx-kept: yes\r\ncontent-length: 4\r\n\r\nsaid" % (status, _FORGED)
    async with _answering(answer) as (said, port):
        group = [Server(f"a-{n}", n, "127.0.0.1", port) for n in range(1, servers + 1)]
        await harness.start(backend("a", *group, check=None))
        data = b"x" if method == "POST" else None
        async with harness.client.request(method, "/", data=data) as answered:
            assert (answered.status, await answered.read()) == (status, b"said")
            assert answered.headers["x-kept"] == "yes"
            assert not [name for name in answered.headers if name.lower().startswith("cloudlet-")]
        assert said.hits == 1
