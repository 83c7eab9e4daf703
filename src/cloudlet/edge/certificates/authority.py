"""The development authority: a CA of the stack's own, and a certificate for its names.

    ca.pem        the CA's certificate, for people to trust
    ca-key.pem    its key, mode 600
    served/       what HAProxy reads

Trusting it costs little: its name constraints (RFC 5280 §4.2.1.10, critical) limit it to the stack's domain
and this machine, so even its stolen key cannot speak for any other site. Other names ask for another CA, to
be trusted anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cloudlet.contracts.process import User
from cloudlet.edge.certificates.files import pem
from cloudlet.edge.certificates.folder import install, write_private
from cloudlet.edge.certificates.issuing import (
    CERTIFICATE_RENEWAL,
    Issuer,
    issue_authority,
    issue_certificate,
    names_of,
    permits,
)
from cloudlet.errors import OperatorError


def development_names(domain: str) -> tuple[str, ...]:
    """What a stack's development certificate is for: its domain and all below it, and this machine."""
    names = (domain, f"*.{domain}", "localhost", "127.0.0.1", "::1")
    return tuple(dict.fromkeys(names))


class DevelopmentAuthority:
    """Nothing happens before `ensure`, which is to be called at every start and once a day."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def certificate(self) -> Path:
        """The file for people to trust."""
        return self._folder / "ca.pem"

    @property
    def key(self) -> Path:
        return self._folder / "ca-key.pem"

    @property
    def served(self) -> Path:
        """The folder for HAProxy."""
        return self._folder / "served"

    def ensure(self, names: Sequence[str], user: User | None = None, now: datetime | None = None) -> Path:
        """The folder with a certificate for exactly these names, made, renewed or left as it is.

        `user` is whom HAProxy runs as. Raises OperatorError when the folder cannot be written.
        """
        moment = now or datetime.now(UTC)
        try:
            self._make_folder()
            issuer = self._issuer(names, moment)
            write_private(self.certificate, issuer.certificate.public_bytes(Encoding.PEM), mode=0o644)
            present = self._present(issuer, names, moment)
        except OSError as error:
            raise OperatorError(f"cannot write the development authority: {error}") from error
        if present is None:
            certificate, key = issue_certificate(issuer, names, moment)
            present = pem([certificate], key)
        return install([present], self.served, user)

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # HAProxy's user passes through to `served`, anyone may read the certificate that is to be trusted
        self._folder.chmod(0o711)

    def _issuer(self, names: Sequence[str], now: datetime) -> Issuer:
        found = self._load()
        if found is not None and found.good_until(now) and permits(found.certificate, names):
            return found
        fresh = issue_authority(names, now)
        # the key first: a certificate whose key is missing would be taken for good
        write_private(self.key, fresh.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return fresh

    def _load(self) -> Issuer | None:
        """What is there, None when it is incomplete or broken: it is made again then."""
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            key = load_pem_private_key(self.key.read_bytes(), password=None)
        except (FileNotFoundError, ValueError, TypeError):
            return None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            return None
        self.key.chmod(0o600)
        return Issuer(certificate, key)

    def _present(self, issuer: Issuer, names: Sequence[str], now: datetime) -> bytes | None:
        """The certificate that is served, None when it is not for these names, not this authority's, or
        due."""
        try:
            content = (self.served / "01.pem").read_bytes()
            certificate = x509.load_pem_x509_certificate(content)
            load_pem_private_key(content, password=None)
            certificate.verify_directly_issued_by(issuer.certificate)
        except (FileNotFoundError, ValueError, TypeError, InvalidSignature):
            return None
        due = now >= certificate.not_valid_after_utc - CERTIFICATE_RENEWAL
        return None if due or names_of(certificate) != set(names) else content
