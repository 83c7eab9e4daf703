"""Certificates: the development authority as clients see it, and the user's own files with every mistake in
them."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cloudlet.contracts.process import User
from cloudlet.edge.certificates import (
    CertificateFiles,
    DevelopmentAuthority,
    combined,
    development_names,
    install,
)
from cloudlet.edge.certificates.issuing import Issuer, issue_authority, issue_certificate
from cloudlet.errors import OperatorError

NAMES = development_names("shop.localhost")
NOW = datetime.now(UTC)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def shake_hands(server_pem: Path, trusted: Path, name: str) -> str:
    """A real TLS handshake: the protocol agreed on. Raises ssl.SSLError when the client does not trust it."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(server_pem)
    trusting = ssl.create_default_context(cafile=trusted)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with serving.wrap_socket(theirs, server_side=True) as accepted:
                accepted.recv(1)
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with trusting.wrap_socket(ours, server_hostname=name) as connected:
            connected.send(b"x")
            return connected.version() or ""
    finally:
        ours.close()
        thread.join(5)


@pytest.fixture
def authority(tmp_path: Path) -> DevelopmentAuthority:
    return DevelopmentAuthority(tmp_path / "certificates")


@pytest.mark.parametrize("name", ["shop.localhost", "api.shop.localhost", "localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_the_authority_trusts_every_name(authority: DevelopmentAuthority, name: str) -> None:
    """A handshake with full verification, by domain, below it, and by the machine's own names."""
    served = authority.ensure(NAMES)
    assert shake_hands(served / "01.pem", authority.certificate, name) == "TLSv1.3"


def test_another_name_is_not_trusted(authority: DevelopmentAuthority) -> None:
    """The certificate is for the stack's names only."""
    served = authority.ensure(NAMES)
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        shake_hands(served / "01.pem", authority.certificate, "example.com")


@pytest.mark.parametrize("foreign", ["example.com", "10.0.0.1"])
def test_even_its_key_can_speak_for_no_other_site(
    authority: DevelopmentAuthority, tmp_path: Path, foreign: str
) -> None:
    """A certificate that the stolen key signs for another site is refused by the name constraints."""
    authority.ensure(NAMES)
    stolen = load_pem_private_key(authority.key.read_bytes(), None)
    issuer = Issuer(x509.load_pem_x509_certificate(authority.certificate.read_bytes()), stolen)
    certificate, key = issue_certificate(issuer, [foreign], NOW)
    forged = tmp_path / "forged.pem"
    forged.write_bytes(certificate.public_bytes(Encoding.PEM) + pkcs8(key))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shake_hands(forged, authority.certificate, foreign)


def test_keys_are_private_and_the_certificate_to_trust_is_not(authority: DevelopmentAuthority) -> None:
    """Mode 600 for both keys; the folder that HAProxy reads is closed to others."""
    served = authority.ensure(NAMES)
    assert mode(authority.key) == 0o600
    assert mode(served / "01.pem") == 0o600
    assert mode(served) == 0o700
    assert mode(authority.certificate) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_haproxys_user_reads_its_file_and_can_plant_none(authority: DevelopmentAuthority) -> None:
    """The file is that user's; the folder is not, nor is the authority's key."""
    served = authority.ensure(NAMES, User(61184, 61184))
    pem, folder = (served / "01.pem").stat(), served.stat()
    assert (pem.st_uid, pem.st_gid, mode(served / "01.pem")) == (61184, 61184, 0o600)
    assert (folder.st_uid, folder.st_gid, mode(served)) == (0, 61184, 0o750)
    assert authority.key.stat().st_uid == 0


def test_it_is_left_alone_while_it_is_good(authority: DevelopmentAuthority) -> None:
    """Asked again, also by a new cloudlet, nothing is written."""
    served = authority.ensure(NAMES)
    before = [(path.read_bytes(), path.stat().st_ino) for path in (authority.certificate, served / "01.pem")]
    DevelopmentAuthority(authority.certificate.parent).ensure(NAMES, now=NOW + timedelta(days=59))
    assert before == [(path.read_bytes(), path.stat().st_ino) for path in (authority.certificate, served / "01.pem")]


def test_it_is_renewed_before_it_expires_by_the_same_authority(authority: DevelopmentAuthority) -> None:
    """Thirty days before its end; nobody has to trust anything anew."""
    served = authority.ensure(NAMES)
    trusted, old = authority.certificate.read_bytes(), (served / "01.pem").read_bytes()
    authority.ensure(NAMES, now=NOW + timedelta(days=61))
    renewed = x509.load_pem_x509_certificate((served / "01.pem").read_bytes())
    assert (served / "01.pem").read_bytes() != old
    assert renewed.not_valid_after_utc > NOW + timedelta(days=140)
    assert authority.certificate.read_bytes() == trusted


def test_the_authority_is_renewed_in_time_too(authority: DevelopmentAuthority) -> None:
    """Every certificate that it signs ends before the authority does."""
    authority.ensure(NAMES)
    later = NOW + timedelta(days=3650 - 119)
    served = authority.ensure(NAMES, now=later)
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    leaf = x509.load_pem_x509_certificate((served / "01.pem").read_bytes())
    assert issuer.not_valid_before_utc > NOW + timedelta(days=3000)
    assert leaf.not_valid_after_utc < issuer.not_valid_after_utc
    leaf.verify_directly_issued_by(issuer)


def test_another_domain_gets_an_authority_for_it(authority: DevelopmentAuthority) -> None:
    """The old one is not permitted the new name, so there is a new one, and the handshake works."""
    authority.ensure(NAMES)
    trusted = authority.certificate.read_bytes()
    served = authority.ensure(development_names("other.test"))
    assert authority.certificate.read_bytes() != trusted
    assert shake_hands(served / "01.pem", authority.certificate, "api.other.test") == "TLSv1.3"


@pytest.mark.parametrize("broken", ["ca.pem", "ca-key.pem", "served/01.pem"])
@pytest.mark.parametrize("how", ["missing", "garbage", "empty"])
def test_what_is_broken_is_made_again(authority: DevelopmentAuthority, broken: str, how: str) -> None:
    """A file that is lost or damaged costs nothing but its making."""
    authority.ensure(NAMES)
    path = authority.certificate.parent / broken
    path.unlink()
    if how != "missing":
        path.write_bytes(b"garbage" if how == "garbage" else b"")
    served = authority.ensure(NAMES)
    assert shake_hands(served / "01.pem", authority.certificate, "localhost") == "TLSv1.3"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """As the operator's mistake, with the place."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OperatorError, match="development authority"):
        DevelopmentAuthority(tmp_path / "file" / "below").ensure(NAMES)


# the user's own


def pkcs8(key: object, password: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)  # type: ignore[attr-defined]


@pytest.fixture
def own(tmp_path: Path) -> CertificateFiles:
    """A good certificate with its chain and a key of its own file."""
    issuer = issue_authority(["shop.example"], NOW)
    certificate, key = issue_certificate(issuer, ["shop.example"], NOW)
    files = CertificateFiles(tmp_path / "shop.crt", tmp_path / "shop.key")
    chain = (certificate, issuer.certificate)
    files.certificate.write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in chain))
    assert files.key is not None
    files.key.write_bytes(pkcs8(key))
    (tmp_path / "root.pem").write_bytes(issuer.certificate.public_bytes(Encoding.PEM))
    return files


def test_the_users_certificate_is_served(own: CertificateFiles, tmp_path: Path) -> None:
    """From two files or from one, combined, private, and good for a handshake."""
    pem = combined(own)
    (tmp_path / "both.pem").write_bytes(pem)
    assert combined(CertificateFiles(tmp_path / "both.pem")) == pem
    served = install([pem], tmp_path / "served")
    assert mode(served / "01.pem") == 0o600
    assert shake_hands(served / "01.pem", tmp_path / "root.pem", "shop.example") == "TLSv1.3"


def test_the_folder_holds_what_is_asked_in_its_order_and_nothing_else(tmp_path: Path) -> None:
    """The first by name is HAProxy's default; what is no longer wanted goes."""
    install([b"one", b"two", b"three"], tmp_path / "served")
    install([b"two", b"one"], tmp_path / "served")
    assert {p.name: p.read_bytes() for p in (tmp_path / "served").iterdir()} == {
        "01.pem": b"two",
        "02.pem": b"one",
    }


def test_a_missing_file_is_named(own: CertificateFiles, tmp_path: Path) -> None:
    """With the reason."""
    with pytest.raises(OperatorError, match=r"cannot read the certificate .*none\.crt: No such file"):
        combined(CertificateFiles(tmp_path / "none.crt", own.key))
    with pytest.raises(OperatorError, match=r"cannot read the key .*none\.key: No such file"):
        combined(CertificateFiles(own.certificate, tmp_path / "none.key"))


def test_what_is_no_certificate_or_key_is_said(own: CertificateFiles) -> None:
    """Also when the two are swapped, or the key is nowhere."""
    assert own.key is not None
    with pytest.raises(OperatorError, match="no certificate in PEM"):
        combined(CertificateFiles(own.key, own.certificate))
    with pytest.raises(OperatorError, match=r"no private key in PEM; name its file with `key:`"):
        combined(CertificateFiles(own.certificate))


def test_a_key_of_another_certificate_is_refused(own: CertificateFiles, tmp_path: Path) -> None:
    """HAProxy would refuse to start; we say which two do not fit."""
    other = issue_authority(["other.example"], NOW)
    (tmp_path / "other.key").write_bytes(pkcs8(other.key))
    with pytest.raises(OperatorError, match="not that of the first certificate"):
        combined(CertificateFiles(own.certificate, tmp_path / "other.key"))


def test_an_encrypted_key_is_refused_with_the_fix(own: CertificateFiles, tmp_path: Path) -> None:
    """There is nobody to ask for its password."""
    assert own.key is not None
    key = load_pem_private_key(own.key.read_bytes(), None)
    (tmp_path / "locked.key").write_bytes(pkcs8(key, b"secret"))
    with pytest.raises(OperatorError, match="is encrypted; decrypt it with `openssl pkey"):
        combined(CertificateFiles(own.certificate, tmp_path / "locked.key"))


@pytest.mark.parametrize(("days", "said"), [(91, "expired on"), (-1, "is valid from")])
def test_a_certificate_out_of_its_time_is_refused(own: CertificateFiles, days: int, said: str) -> None:
    """Expired, or not valid yet."""
    with pytest.raises(OperatorError, match=said):
        combined(own, NOW + timedelta(days=days))


def test_a_chain_out_of_order_is_refused(own: CertificateFiles, tmp_path: Path) -> None:
    """Clients would be sent an issuer that is not one."""
    stranger = issue_authority(["stranger.example"], NOW).certificate.public_bytes(Encoding.PEM)
    (tmp_path / "mixed.crt").write_bytes(own.certificate.read_bytes() + stranger)
    with pytest.raises(OperatorError, match="out of order"):
        combined(CertificateFiles(tmp_path / "mixed.crt", own.key))
