"""Certificates of the running edge: by name, renewed under load, added and removed without another process; and those
of clients."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloudlet.contracts.edge import EdgeConfiguration, Listener
from cloudlet.contracts.guard import Guard
from cloudlet.edge.certificates import AUTHORITIES, install
from cloudlet.edge.certificates.files import pem
from cloudlet.edge.certificates.issuing import Issuer, issue_authority, issue_certificate
from cloudlet.edge.difference import How
from cloudlet.errors import EngineFailed

from .conftest import Harness, backend
from .guarding import route

NOW = datetime.now(UTC)
NAMES = ["a.test", "b.test", "c.test"]


def issued(issuer: Issuer, *names: str) -> bytes:
    certificate, key = issue_certificate(issuer, names, NOW)
    return pem([certificate], key)


def serial(content: bytes) -> int:
    return x509.load_pem_x509_certificate(content).serial_number


class Tls:
    """An edge that answers https with the certificates of a folder, whose name has a space."""

    def __init__(self, harness: Harness, folder: Path) -> None:
        self.harness, self.folder = harness, folder / "a folder"
        self.authorities: Path | None = None
        self.issuer = issue_authority(NAMES, NOW)

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.issuer.certificate.public_bytes(Encoding.PEM).decode())

    async def start(self, *pems: bytes) -> None:
        install(pems, self.folder)
        self.plain = await self.harness.listen("gateway-https@test")
        self.port = await self.harness.port_of(self.plain)
        self.backend = backend("a", *await self.harness.servers("a", 2))
        await self.harness.edge.start(self.configuration())

    def listener(self) -> Listener:
        return replace(self.plain, certificates=self.folder, client_authorities=self.authorities)

    def accept(self, folder: Path, issuer: Issuer) -> None:
        """Take client certificates of this authority."""
        self.authorities = folder / AUTHORITIES
        self.authorities.write_bytes(issuer.certificate.public_bytes(Encoding.PEM))

    def configuration(self) -> EdgeConfiguration:
        self.harness.listeners = (self.listener(),)
        plain = (route("/*"),)
        if self.authorities is None:
            return self.harness.configuration(self.backend, routes=plain)
        routes = (route("/secret", {"certificate": True}), *plain)
        return replace(self.harness.configuration(self.backend, routes=routes), guard=Guard())

    async def apply(self, *pems: bytes) -> tuple[How, str]:
        if pems:
            install(pems, self.folder)
        applied = await self.harness.edge.apply(self.configuration())
        return applied.how, applied.because

    async def served(self, name: str) -> int:
        """The serial number of what is served for a name, checked for that name."""
        context = self.trusting()
        _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name)
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return x509.load_der_x509_certificate(found).serial_number

    async def ask(self, path: str, context: ssl.SSLContext) -> int:
        """The status, on a connection of its own; a second one with the same context may resume its session."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname="a.test")
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return int(answer.split(b" ", 2)[1])


@pytest.fixture
async def tls(harness: Harness, tmp_path: Path) -> AsyncIterator[Tls]:
    yield Tls(harness, tmp_path)


async def test_each_name_has_its_certificate(tls: Tls) -> None:
    """By the name that the client says (SNI); one that nobody has is answered with the first."""
    one, two = issued(tls.issuer, "a.test"), issued(tls.issuer, "b.test", "c.test")
    await tls.start(one, two)
    assert [await tls.served(name) for name in NAMES] == [serial(one), serial(two), serial(two)]
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'd\.test'"):
        await tls.served("d.test")


async def test_certificates_come_go_and_change_over_the_socket(tls: Tls) -> None:
    """The process stays, and what it is restarted with after a crash is the same."""
    one, two, three = (issued(tls.issuer, name) for name in NAMES)
    await tls.start(one, two)
    pid = tls.harness.edge.pid
    again = issued(tls.issuer, "b.test")
    assert await tls.apply(one, again) == (How.SOCKET, "exchanges 02.pem")
    assert await tls.served("b.test") == serial(again)
    assert await tls.apply(one, again, three) == (How.SOCKET, "exchanges 03.pem")
    assert [await tls.served(name) for name in NAMES] == [serial(one), serial(again), serial(three)]
    assert await tls.apply(three, again) == (How.SOCKET, "exchanges 01.pem, 03.pem")
    assert await tls.served("c.test") == serial(three)
    with pytest.raises(ssl.SSLCertVerificationError):
        await tls.served("a.test")
    assert await tls.apply(three, again) == (How.NOTHING, "nothing changed")
    assert tls.harness.edge.pid == pid


async def test_a_new_control_exchanges_what_changed_meanwhile(tls: Tls) -> None:
    """The record says which certificates the process has, so a renewal that nobody carried out is found."""
    one, two = issued(tls.issuer, "a.test"), issued(tls.issuer, "a.test")
    await tls.start(one)
    pid = tls.harness.edge.pid
    tls.harness.edge = tls.harness.new_edge()
    install([two], tls.folder)
    await tls.harness.edge.start(tls.configuration())
    assert (await tls.served("a.test"), tls.harness.edge.pid) == (serial(two), pid)


async def test_a_refused_certificate_is_said_without_its_key(tls: Tls) -> None:
    """What HAProxy does not take ends in the journal."""
    await tls.start(issued(tls.issuer, "a.test"))
    socket, _ = tls.harness.edge._running()
    with pytest.raises(EngineFailed, match="haproxy refused `set ssl cert nowhere`") as caught:
        await socket.ask(f"set ssl cert nowhere <<\n{issued(tls.issuer, 'b.test').decode()}\n")
    assert "PRIVATE KEY" not in str(caught.value)


async def test_a_file_too_long_for_the_socket_is_taken_by_a_successor(tls: Tls) -> None:
    """A chain of many certificates does not fit HAProxy's buffer; nothing is lost by that."""
    one = issued(tls.issuer, "a.test")
    await tls.start(one)
    certificate, key = issue_certificate(tls.issuer, ["a.test"], NOW)
    how, because = await tls.apply(pem([certificate, *[tls.issuer.certificate] * 30], key))
    assert (how, because) == (How.SUCCESSION, "a certificate changed")
    assert await tls.served("a.test") == certificate.serial_number


async def test_renewals_under_load_fail_no_handshake(tls: Tls) -> None:
    """Forty renewals while eight clients make one new connection after the other."""
    await tls.start(issued(tls.issuer, "a.test"), issued(tls.issuer, "b.test"))
    seen: Counter[str] = Counter()
    ending = asyncio.Event()

    async def client(number: int) -> None:
        while not ending.is_set():
            try:
                await tls.served(NAMES[number % 2])
                seen["good"] += 1
            except (OSError, ssl.SSLError) as error:
                seen[type(error).__name__] += 1

    clients = [asyncio.create_task(client(number)) for number in range(8)]
    pid = tls.harness.edge.pid
    for _ in range(40):
        await tls.apply(issued(tls.issuer, "a.test"), issued(tls.issuer, "b.test"))
        await asyncio.sleep(0.02)  # load between two renewals
    ending.set()
    await asyncio.gather(*clients)
    print(f"{seen.total()} handshakes during 40 renewals of two certificates: {seen.total() - seen['good']} failed")
    assert set(seen) == {"good"}
    assert seen["good"] > 100
    assert tls.harness.edge.pid == pid


# those of clients


def authority(name: str) -> Issuer:
    """One that may sign for anybody."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=400))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return Issuer(builder.sign(key, hashes.SHA256()), key)


def client_context(tls: Tls, folder: Path, issuer: Issuer | None, days: int = 30) -> ssl.SSLContext:
    """A client with a certificate of that authority that ends in so many days, or with none."""
    context = tls.trusting()
    if issuer is None:
        return context
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a client")]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=100))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    certificate = builder.sign(issuer.key, hashes.SHA256())
    file = folder / f"client-{certificate.serial_number}.pem"
    file.write_bytes(pem([certificate], key))
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_client_certificates_open_routes_that_require_one(
    tls: Tls, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """A good one opens them; none, one of another authority and an expired one do not, nor when the session is resumed.
    The handshake succeeds for each, so routes that require none are open to all."""
    ours, theirs = authority("ours"), authority("theirs")
    tls.accept(tmp_path, ours)
    await tls.start(issued(tls.issuer, "a.test"))
    shown = (("good", ours, 30), ("none", None, 0), ("foreign", theirs, 30), ("expired", ours, -1))
    seen = {}
    for name, issuer, days in shown:
        context = client_context(tls, tmp_path, issuer, days)
        context.maximum_version = version
        seen[name] = [await tls.ask("/secret", context) for _ in range(3)]
        assert await tls.ask("/open", context) == 200
    assert seen == {"good": [200] * 3, "none": [401] * 3, "foreign": [401] * 3, "expired": [401] * 3}


async def test_a_changed_authority_counts_at_once(tls: Tls, tmp_path: Path) -> None:
    """By another process: who was refused is let in, and who was let in is refused on the next connection."""
    ours, theirs = authority("ours"), authority("theirs")
    tls.accept(tmp_path, ours)
    await tls.start(issued(tls.issuer, "a.test"))
    contexts = [client_context(tls, tmp_path, issuer) for issuer in (ours, theirs)]
    assert [await tls.ask("/secret", context) for context in contexts] == [200, 401]
    tls.accept(tmp_path, theirs)
    assert await tls.apply() == (How.SUCCESSION, "a certificate changed")
    assert [await tls.ask("/secret", context) for context in contexts] == [401, 200]


def resuming(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[int, bool, ssl.SSLSession | None]:
    """The status of /secret, whether the session was resumed, and the session for the next time."""
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="a.test", session=session) as secure,
    ):
        secure.sendall(b"GET /secret HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := secure.recv(65536):
            answer += part
        return int(answer.split(b" ", 2)[1]), bool(secure.session_reused), secure.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_is_who_it_was(tls: Tls, tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Good stays good and bad stays bad; a changed authority ends all sessions."""
    ours, theirs = authority("ours"), authority("theirs")
    tls.accept(tmp_path, ours)
    await tls.start(issued(tls.issuer, "a.test"))
    contexts = {name: client_context(tls, tmp_path, issuer) for name, issuer in (("ours", ours), ("theirs", theirs))}
    sessions: dict[str, ssl.SSLSession | None] = {}
    for name, status in (("ours", 200), ("theirs", 401)):
        contexts[name].maximum_version = version
        first = await asyncio.to_thread(resuming, tls.port, contexts[name], None)
        again = await asyncio.to_thread(resuming, tls.port, contexts[name], first[2])
        assert (first[:2], again[:2]) == ((status, False), (status, True))
        sessions[name] = again[2]
    tls.accept(tmp_path, theirs)
    assert (await tls.apply())[0] is How.SUCCESSION
    for name, status in (("ours", 401), ("theirs", 200)):
        assert (await asyncio.to_thread(resuming, tls.port, contexts[name], sessions[name]))[0] == status
