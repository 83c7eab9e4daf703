"""An instance counts as ready when it answers as its service says, not when it listens."""

from __future__ import annotations

import asyncio
import socket
from concurrent import futures

import grpc
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

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


@pytest.fixture
async def http2_server():
    """Speaks HTTP/2 in clear: answers 503 once, then 222, whose code is in no table; with its port what was asked."""
    statuses, asked = ["503", "222"], []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        connection.initiate_connection()
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    asked.append(dict(event.headers)[":path"])
                    status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
                    connection.send_headers(event.stream_id, [(":status", status)], end_stream=True)
            writer.write(connection.data_to_send())
        writer.close()

    started = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield started.sockets[0].getsockname()[1], asked
    started.close()
    await started.wait_closed()


async def test_http2_is_asked_in_http2(http2_server):
    """A service that speaks HTTP/2 only is ready when its health path answers as expected, not when it listens."""
    port, asked = http2_server
    probe = Probe("127.0.0.1", port, timeout=1.0, path="/health", http2=True)
    assert not await is_ready(probe)
    assert await is_ready(probe)
    assert asked == ["/health", "/health"]


async def test_http1_is_no_http2_and_the_other_way_round(server, http2_server):
    """Who speaks the other version is not ready, and says so within the time it has."""
    assert not await is_ready(Probe("127.0.0.1", server, timeout=0.2, path="/", http2=True))
    assert not await is_ready(Probe("127.0.0.1", http2_server[0], timeout=0.2, path="/"))


async def test_a_grpc_server_answers_no_get():
    """A real gRPC server resets the stream, so it is checked by connecting, as the edge does."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert await is_ready(Probe("127.0.0.1", port, 5.0, http2=True))
        assert not await is_ready(Probe("127.0.0.1", port, 5.0, path="/", http2=True, expect=((100, 599),)))
    finally:
        server.stop(None).wait()
