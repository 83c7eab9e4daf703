"""The ways HTTP/1.1 frames an answer, and TLS."""

from __future__ import annotations

import datetime
import ssl
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloudlet.errors import OperatorError
from cloudlet.load import LoadPlan, run
from tests.load.server import Exchange, serving

ANSWERS = {
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
async def test_framed_answers_keep_the_connection(answer: bytes) -> None:
    """Every framing that leaves a connection usable is followed to its end, byte by byte too."""

    async def behave(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.writer.write(answer)
            return
        for position in range(len(answer)):
            exchange.writer.write(answer[position : position + 1])
            await exchange.writer.drain()

    async with serving(behave) as server:
        report = await run(LoadPlan(server.url, concurrency=1, requests=10))
    assert (report.ok, report.connections) == (10, 1)


async def test_head_has_no_body() -> None:
    """A HEAD's Content-Length announces no body, and the connection stays in use."""

    async def behave(exchange: Exchange) -> None:
        exchange.answer(body=b"x" * 1000)

    async with serving(behave) as server:
        report = await run(LoadPlan(server.url, concurrency=1, requests=20, method="HEAD", timeout=2))
    assert (report.ok, report.connections) == (20, 1)


async def test_connection_close_is_obeyed() -> None:
    """An answer that ends its connection is a success, and the next request opens another."""

    async def behave(exchange: Exchange) -> None:
        exchange.answer(Connection="close")

    async with serving(behave) as server:
        report = await run(LoadPlan(server.url, concurrency=2, requests=20))
    assert (report.ok, report.failures, report.connections) == (20, {}, 20)


async def test_an_answer_may_end_with_its_connection() -> None:
    """Without a length the end of the connection is the end of the answer (RFC 9112, 6.3)."""

    async def behave(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.0 200 OK\r\n\r\nas long as it takes")
        exchange.close()

    async with serving(behave) as server:
        report = await run(LoadPlan(server.url, concurrency=2, requests=10))
    assert (report.ok, report.failures) == (10, {})


async def test_localhost_names_mean_loopback() -> None:
    """A stack's own domain works where the resolver does not know *.localhost."""

    async def behave(exchange: Exchange) -> None:
        exchange.answer()

    async with serving(behave) as server:
        report = await run(LoadPlan(f"http://api.shop.localhost:{server.port}/", concurrency=1, requests=3))
    assert report.ok == 3
    assert server.seen[0].headers["host"] == f"api.shop.localhost:{server.port}"


async def test_https_checks_the_certificate(tmp_path: Path) -> None:
    """A certificate nobody vouches for fails the connection; its authority, or not asking, accepts it."""
    file = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)

    async def behave(exchange: Exchange) -> None:
        exchange.answer()

    async with serving(behave, context) as server:
        refused = await run(LoadPlan(server.url, concurrency=1, requests=2))
        trusted = await run(LoadPlan(server.url, concurrency=2, requests=20, authority=str(file)))
        unasked = await run(LoadPlan(server.url, concurrency=1, requests=2, verify=False))
        with pytest.raises(OperatorError, match="no file of certificates"):
            await run(LoadPlan(server.url, concurrency=1, requests=2, authority="/nowhere.pem"))
    assert refused.failures == {"connect": 2}
    assert (trusted.ok, trusted.connections) == (20, 2)
    assert unasked.ok == 2


def certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "certificate.pem"
    file.write_bytes(made.public_bytes(encoding) + private)
    return file
