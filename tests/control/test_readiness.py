"""An instance counts as ready when it answers as its service says, not when it listens."""

from __future__ import annotations

import asyncio
import socket

import pytest

from cloudlet.control.readiness import Probe, is_ready, wait_ready


@pytest.fixture
async def server():
    """Answers with the status in `statuses`, the last one for ever."""
    statuses = [b"503 No", b"503 No", b"204 Yes"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    started = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield started.sockets[0].getsockname()[1]
    started.close()
    await started.wait_closed()


async def test_waits_for_the_expected_status(server):
    """A service that answers 503 is not ready, whatever its port does."""
    probe = Probe("127.0.0.1", server, timeout=1.0, path="/health")
    assert not await is_ready(probe)
    await asyncio.wait_for(wait_ready(probe), 5)


async def test_without_a_path_a_connection_is_enough(server):
    """TCP services are checked by connecting."""
    assert await is_ready(Probe("127.0.0.1", server, timeout=1.0))


async def test_nobody_there_and_nobody_answering_are_not_ready():
    """A refused connection and a silent one both say no, the silent one after the timeout."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert not await is_ready(Probe("127.0.0.1", port, timeout=1.0))
        silent.listen()
        assert not await is_ready(Probe("127.0.0.1", port, timeout=0.05, path="/"))


async def test_something_that_is_not_http_is_not_ready():
    """Garbage is an answer that counts for nothing."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert not await is_ready(Probe("127.0.0.1", port, timeout=1.0, path="/", expect=((200, 399),)))


async def test_a_udp_service_is_ready_when_its_port_is_bound():
    """Datagrams cannot be probed without knowing the protocol; the kernel knows who is bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert await is_ready(Probe("127.0.0.1", port, timeout=1.0, datagram=True))
    assert not await is_ready(Probe("127.0.0.1", port, timeout=1.0, datagram=True))
