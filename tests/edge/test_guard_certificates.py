"""Client certificates as credentials: who is there comes from a good one, and from nothing else."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cloudlet.contracts.guard import Guard

from .conftest import Harness, backend
from .guarding import route

NOW = datetime.now(UTC)


def _named(name: str | None) -> x509.Name:
    kind = NameOID.ORGANIZATION_NAME if name is None else NameOID.COMMON_NAME
    return x509.Name([x509.NameAttribute(kind, name or "nobody")])


def issue(folder: Path, file: str, name: str | None, by: tuple[Any, Any] | None = None, *, days: int = 9) -> Any:
    """A certificate with its key in one file, of its own or by an authority; what signs further ones."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, signing = (by[0].subject, by[1]) if by else (_named(name), key)
    builder = x509.CertificateBuilder(issuer, _named(name), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=10)).not_valid_after(NOW + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(by is None, None), critical=True)
    if by is None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = builder.sign(signing, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / file).write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return certificate, key


class Clients:
    """Certificates of many kinds, and an https edge that takes those of one authority."""

    def __init__(self, harness: Harness, folder: Path) -> None:
        self.harness, self.folder, self.port = harness, folder, 0

    async def open(self) -> Clients:
        served = self.folder / "served"
        served.mkdir()
        issue(served, "server.pem", "localhost")
        authority = issue(self.folder, "authority.pem", "our authority")
        issue(self.folder, "alice.pem", "alice", authority)
        issue(self.folder, "expired.pem", "alice", authority, days=-1)
        issue(self.folder, "unnamed.pem", None, authority)
        issue(self.folder, "foreign.pem", "alice", issue(self.folder, "theirs.pem", "our authority"))
        issue(self.folder, "own.pem", "alice")
        trusted = self.folder / "trusted.pem"
        trusted.write_bytes(authority[0].public_bytes(Encoding.PEM))
        listener = await self.harness.listen("gateway-https@test")
        self.port = await self.harness.port_of(listener)
        listening = replace(listener, certificates=served, client_authorities=trusted)
        routes = (route("/open/*"), route("/*", {"certificate": True}))
        servers = backend("a", *await self.harness.servers("a", 2))
        configuration = replace(self.harness.configuration(servers, routes=routes), guard=Guard())
        await self.harness.edge.start(replace(configuration, listeners=(*configuration.listeners, listening)))
        return self

    def context(self, shown: str = "", version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = version
        if shown:
            context.load_cert_chain(self.folder / shown)
        return context

    async def ask(self, shown: str = "", path: str = "/", *headers: str) -> tuple[int, str]:
        return await asyncio.to_thread(self._ask, self.context(shown), path, headers)

    def _ask(self, context: ssl.SSLContext, path: str, headers: tuple[str, ...], session: Any = None) -> Any:
        import socket

        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as secure,
        ):
            lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
            secure.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            answer = b""
            while part := secure.recv(65536):
                answer += part
            self.session, self.reused = secure.session, secure.session_reused
            return int(answer.split(b" ", 2)[1]), answer.decode(errors="replace")

    def resumed(self, shown: str, version: ssl.TLSVersion) -> tuple[int, bool]:
        """The second of two connections, which takes up the session of the first."""
        context = self.context(shown, version)
        self._ask(context, "/open/x", ())
        status, _ = self._ask(context, "/", (), self.session)
        return status, bool(self.reused)


@pytest.fixture
async def clients(harness: Harness, tmp_path: Path) -> Clients:
    return await Clients(harness, tmp_path).open()


async def test_a_good_certificate_names_the_user(clients: Clients) -> None:
    """By its common name; headers that say otherwise are not heard."""
    status, said = await clients.ask("alice.pem", "/", "X-Forwarded-User: root", "X-SSL-Client-CN: root")
    assert status == 200 and '["x-forwarded-user", "alice"]' in said
    assert '["x-forwarded-user", "root"]' not in said


async def test_bad_certificates_are_refused_where_a_good_one_is_needed(clients: Clients) -> None:
    """None, expired, of another authority of the same name, its own, without a name; open routes take them all."""
    for shown in ("", "expired.pem", "foreign.pem", "own.pem", "unnamed.pem"):
        status, said = await clients.ask(shown)
        assert status == 401 and "www-authenticate: Certificate" in said, shown
        assert (await clients.ask(shown, "/open/x"))[0] == 200, shown


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_is_as_good_as_its_first(clients: Clients, version: ssl.TLSVersion) -> None:
    """What was wrong with a certificate is not forgotten when its TLS session is taken up again."""
    assert (await asyncio.to_thread(clients.resumed, "alice.pem", version)) == (200, True)
    for shown in ("expired.pem", "foreign.pem", "own.pem"):
        status, _ = await asyncio.to_thread(clients.resumed, shown, version)
        assert status == 401, shown


async def test_plain_http_shows_no_certificate(clients: Clients) -> None:
    """The same route by the other port is 401."""
    async with clients.harness.client.get("/") as answer:
        assert answer.status == 401
