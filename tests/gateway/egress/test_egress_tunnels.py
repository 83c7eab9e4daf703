"""CONNECT through a running proxy: bytes, ends, silence and numbers."""

from __future__ import annotations

import asyncio
import datetime
import resource
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.gateway.egress.conftest import PATIENCE, answering, credential, destination, echo, ok

MANY = 1000


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "good.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("good.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "pair.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


async def test_tls_goes_through_untouched(start, certificate):
    """The client speaks TLS with the destination and sees its certificate; the proxy sees bytes."""
    proxy = await start()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with destination(answering(ok(b"secret")), tls=server) as there:
        status, reader, writer = await proxy.connect(f"good.test:{there.port}")
        assert status == 200
        await writer.start_tls(trusting, server_hostname="good.test")
        writer.write(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert b"secret" in await reader.readuntil(b"secret")
        writer.transport.abort()
        (entry,) = await proxy.entries(1)
        assert (entry["method"], entry["destination"], entry["status"]) == ("CONNECT", f"good.test:{there.port}", 200)
        assert entry["received"] > entry["sent"] > 0


async def test_what_a_client_sends_before_the_tunnel_stands_arrives_first(start):
    """Also when it comes in one piece with CONNECT."""
    proxy = await start()
    async with destination(echo) as there:
        reader, writer = await proxy.open()
        to = f"127.0.0.1:{there.port}"
        writer.write(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{credential()}\r\n\r\nearly".encode())
        async with asyncio.timeout(PATIENCE):
            assert await reader.readuntil(b"early") == b"HTTP/1.1 200 Connection established\r\n\r\nearly"
        writer.close()


async def test_each_end_is_passed_on_by_itself(start):
    """Half-close: the client has said all and still hears the rest."""
    proxy = await start()

    async def after_the_end(found, reader, writer):
        question = await reader.read()
        writer.write(b"you said " + question)
        await writer.drain()

    async with destination(after_the_end) as there:
        _, reader, writer = await proxy.connect(f"127.0.0.1:{there.port}")
        writer.write(b"this")
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b"you said this"
        writer.close()


async def test_a_destination_that_dies_ends_the_tunnel(start):
    """What it had said still arrives."""
    proxy = await start()

    async def dying(found, reader, writer):
        writer.write(b"last words")
        await writer.drain()

    async with destination(dying) as there:
        _, reader, writer = await proxy.connect(f"127.0.0.1:{there.port}")
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b"last words"
        writer.close()
        await proxy.entries(1)


async def test_a_silent_tunnel_ends_and_one_that_is_used_does_not(start):
    """Bytes in either direction count; the log says that it was the silence."""
    proxy = await start(idle=0.4)
    async with destination(echo) as there:
        _, reader, writer = await proxy.connect(f"127.0.0.1:{there.port}")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.timeout(PATIENCE):
            while loop.time() - begun < 1.0:
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                await asyncio.sleep(0.05)
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        assert (await proxy.entries(1))[0]["error"].startswith("nothing passed for")
        writer.close()


async def test_a_slow_reader_holds_the_sender_back(start):
    """A tunnel keeps a few hundred kilobytes at most."""
    proxy = await start()
    sent = 0

    async def flooding(found, reader, writer):
        nonlocal sent
        while True:
            writer.write(b"x" * 100_000)
            sent += 100_000
            await writer.drain()

    async with destination(flooding) as there:
        _, reader, writer = await proxy.connect(f"127.0.0.1:{there.port}")
        before = -1
        async with asyncio.timeout(PATIENCE):
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
            assert sent < 20_000_000
            await reader.readexactly(sent)
        writer.transport.abort()


async def test_a_thousand_tunnels_stand_at_once_and_each_carries_its_own(start):
    """None is lost, none is mixed up; draining waits for the last of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5 * MANY:
        pytest.skip(f"this machine allows {hard} open files, too few for {MANY} tunnels in one process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        proxy = await start()
        async with destination(echo) as there:

            async def one(number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
                status, reader, writer = await proxy.connect(f"127.0.0.1:{there.port}")
                assert status == 200
                return reader, writer

            async with asyncio.timeout(PATIENCE):
                tunnels = [await each for each in asyncio.as_completed([one(number) for number in range(MANY)])]
                for number, (_, writer) in enumerate(tunnels):
                    writer.write(b"%08d" % number * 100)
                for number, (reader, _) in enumerate(tunnels):
                    assert await reader.readexactly(800) == b"%08d" % number * 100
                draining = asyncio.create_task(proxy.proxy.drain())
                for reader, writer in tunnels:
                    assert not draining.done()
                    writer.write(b"still")
                    assert await reader.readexactly(5) == b"still"
                    writer.close()
                await draining
        assert len(await proxy.entries(MANY)) == MANY
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
