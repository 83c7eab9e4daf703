"""HTTP/2, WebSocket, gRPC, TLS and TCP through the edge, also over a succession."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import httpx
import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloudlet.contracts.edge import Backend, Check, Server

from .conftest import Harness, backend


async def test_websockets_survive_a_succession(harness: Harness) -> None:
    """Twenty WebSockets go on over two successions, and count as sessions of their server until they end."""
    orders = backend("a", *await harness.servers("a", 1))
    await harness.start(orders)
    sockets = [await websockets.connect(f"ws://127.0.0.1:{harness.port}/ws") for _ in range(20)]
    for timeout in (31.0, 32.0):
        await harness.edge.apply(harness.configuration(replace(orders, timeout=timeout)))
    for socket in sockets:
        await socket.send("hello")
        assert await socket.recv() == "a-1:hello"
    assert await harness.edge.sessions("a", "a-1") == 20
    assert len(await harness.supervisor.processes()) == 2, "the one between had nothing and has ended"
    for socket in sockets:
        await socket.close()
    async with asyncio.timeout(5):
        while len(await harness.supervisor.processes()) > 1:
            await asyncio.sleep(0.01)
    assert await harness.edge.sessions("a", "a-1") == 0
    print("20 WebSockets over 2 successions: 0 broken")


async def test_http2_in_clear_by_prior_knowledge(harness: Harness) -> None:
    """A client that begins with HTTP/2 is answered in it."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    command = ("curl", "-s", "--http2-prior-knowledge", "-w", "%{http_version}", "-o", "/dev/null")
    child = await asyncio.create_subprocess_exec(
        *command, f"http://127.0.0.1:{harness.port}/", stdout=asyncio.subprocess.PIPE
    )
    assert (await child.communicate())[0] == b"2"


@pytest.fixture
async def grpc_server() -> AsyncIterator[int]:
    """A gRPC server with a unary, a streaming and a failing method."""

    async def unary(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        return b"unary:" + request

    async def stream(requests: AsyncIterator[bytes], _: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        async for request in requests:
            yield b"stream:" + request

    async def failing(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked")
        raise AssertionError

    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.stream_stream_rpc_method_handler(stream),
        "Failing": grpc.unary_unary_rpc_method_handler(failing),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


async def test_grpc_with_streams_and_trailers(harness: Harness, grpc_server: int) -> None:
    """Unary calls, both-way streams and statuses in trailers pass; a held call too."""
    echo = Backend("echo", http2=True, check=Check(interval=0.05))
    await harness.start(echo)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{harness.port}") as channel:
        held = asyncio.ensure_future(channel.unary_unary("/test.Echo/Unary")(b"held"))
        async with asyncio.timeout(5):
            while not (await harness.edge.statistics())[0].queued:
                await asyncio.sleep(0.01)
        await harness.edge.apply(harness.configuration(replace(echo, timeout=31.0)))
        await harness.edge.add_server("echo", Server("echo-1", 1, "127.0.0.1", grpc_server))
        assert await held == b"unary:held"
        call = channel.stream_stream("/test.Echo/Stream")()
        for n in range(3):
            await call.write(b"%d" % n)
            assert await call.read() == b"stream:%d" % n
        await call.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test.Echo/Failing")(b"x")
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == "as asked"


async def test_tls_offers_http2(harness: Harness, tmp_path: Path) -> None:
    """HTTPS with the folder's certificate, HTTP/2 by ALPN; the instance learns that it was HTTPS."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    make_certificate(folder / "01.pem")
    listener = replace(await harness.listen("gateway-https"), certificates=folder)
    harness.listeners += (listener,)
    a = backend("a", *await harness.servers("a", 1), sticky_cookie="SRV")
    await harness.start(a)
    context = ssl.create_default_context(cafile=str(folder / "01.pem"))
    port = await harness.port_of(listener)
    async with httpx.AsyncClient(verify=context) as client:
        answer = await client.get(f"https://localhost:{port}/")
    assert ["x-forwarded-proto", "https"] in answer.json()["headers"]
    assert "Secure" in answer.headers["set-cookie"]
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    writer.close()
    make_certificate(folder / "01.pem")
    applied = await harness.edge.apply(harness.configuration(a))
    assert applied.because == "exchanges 01.pem"


def make_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, traditional = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    private = key.private_bytes(pem, traditional, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + private)


async def test_tcp_is_passed_through(harness: Harness) -> None:
    """A TCP listener carries bytes both ways, and an open connection survives a succession."""

    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    server = await asyncio.start_server(upper, "127.0.0.1", 0)
    listener = await harness.listen("listener-raw@127.0.0.1:1/tcp", mode="tcp", backend="raw")
    harness.listeners += (listener,)
    port = server.sockets[0].getsockname()[1]
    tcp = Backend("raw", mode="tcp", servers=(Server("raw-1", 1, "127.0.0.1", port),))
    await harness.start(backend("a"), tcp)
    reader, writer = await asyncio.open_connection("127.0.0.1", await harness.port_of(listener))
    writer.write(b"one\n")
    assert await reader.readline() == b"ONE\n"
    await harness.edge.apply(harness.configuration(backend("a"), replace(tcp, timeout=40.0)))
    writer.write(b"two\n")
    assert await reader.readline() == b"TWO\n"
    writer.close()
    server.close()
