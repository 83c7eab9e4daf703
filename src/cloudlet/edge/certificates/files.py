"""A user's certificate: read, checked and combined into what HAProxy reads. Every mistake is said before it
starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cloudlet.errors import OperatorError


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A chain, the server's own certificate first, and its key where that is in a file of its own."""

    certificate: Path
    key: Path | None = None


def combined(files: CertificateFiles, now: datetime | None = None) -> bytes:
    """Chain and key as one PEM. Raises OperatorError: a file cannot be read or holds something else, the key
    is encrypted or another's, the certificate has expired or is not valid yet."""
    chain = _chain(files.certificate)
    key_file = files.key or files.certificate
    key = _key(key_file)
    _check_key(chain[0], key, files.certificate, key_file)
    _check_time(chain[0], files.certificate, now or datetime.now(UTC))
    _check_order(chain, files.certificate)
    return pem(chain, key)


def authorities(file: Path, now: datetime | None = None) -> bytes:
    """Certificates of authorities as PEM, nothing else of the file. Raises OperatorError: it cannot be read, holds no
    certificate, or one that is not an authority's or has expired."""
    chain = _chain(file)
    for certificate in chain:
        if not _is_authority(certificate):
            raise OperatorError(
                f"{file} holds a certificate that is no authority's ({_subject(certificate)}); "
                "`edge.client_certificates` names who signs the clients' certificates"
            )
        _check_time(certificate, file, now or datetime.now(UTC))
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.issuer == certificate.subject  # version 1, signed by itself


def pem(chain: list[x509.Certificate], key: PrivateKeyTypes) -> bytes:
    """Chain, then key, the key unencrypted."""
    certificates = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    return certificates + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise OperatorError(f"cannot read the {what} {file}: {error.strerror}") from error


def _chain(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(file, "certificate"))
    except ValueError as error:
        raise OperatorError(f"{file} holds no certificate in PEM: {error}") from error


def _key(file: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(_read(file, "key"), password=None)
    except TypeError as error:  # the library's word for a key that wants a password
        raise OperatorError(
            f"the key in {file} is encrypted; decrypt it with `openssl pkey -in {file} -out FILE`"
        ) from error
    except ValueError as error:
        raise OperatorError(f"{file} holds no private key in PEM; name its file with `key:`") from error


def _check_key(certificate: x509.Certificate, key: PrivateKeyTypes, file: Path, key_file: Path) -> None:
    if _spki(certificate.public_key()) != _spki(key.public_key()):
        raise OperatorError(
            f"the key in {key_file} is not that of the first certificate in {file} "
            f"({_subject(certificate)}); put the server's own certificate first, or name its key"
        )


def _check_time(certificate: x509.Certificate, file: Path, now: datetime) -> None:
    if now >= certificate.not_valid_after_utc:
        raise OperatorError(
            f"the certificate in {file} ({_subject(certificate)}) expired on "
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it"
        )
    if now < certificate.not_valid_before_utc:
        raise OperatorError(
            f"the certificate in {file} ({_subject(certificate)}) is valid from "
            f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on; check this machine's clock"
        )


def _check_order(chain: list[x509.Certificate], file: Path) -> None:
    for certificate, issuer in pairwise(chain):
        if certificate.issuer != issuer.subject:
            raise OperatorError(
                f"the chain in {file} is out of order: {_subject(certificate)} was not issued by "
                f"{_subject(issuer)}; put each certificate before its issuer's"
            )


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"serial {certificate.serial_number:x}"
