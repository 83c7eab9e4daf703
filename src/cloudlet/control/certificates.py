"""The certificates of the stack's TLS listener: the user's own, else one of the development authority; and whose client
certificates are taken.

The user's files are looked at each second by their times. A changed one counts when it has rested for a second, because
certificate and key are often written one after the other. One that cannot be used leaves what was served before, and is
told once, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.control.journal import Journal
from cloudlet.edge.certificates import (
    AUTHORITIES,
    CertificateFiles,
    DevelopmentAuthority,
    authorities,
    combined,
    development_names,
    install,
    install_file,
)
from cloudlet.errors import OperatorError
from cloudlet.stack import Stack

#: a certificate that ends sooner is warned of
_SOON = timedelta(days=14)
#: seconds between two looks at the development authority's certificate
_HOURLY = 3600.0
Seen = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Served:
    """What HAProxy reads; None where nothing listens for TLS, or no client certificates are taken."""

    folder: Path | None = None
    authorities: Path | None = None


class Certificates:
    """`ensure` for a new file, then `look` each second."""

    def __init__(self, paths: StatePaths, journal: Journal) -> None:
        self._paths, self._journal = paths, journal
        self._seen: Seen = ()
        self._taken: Seen = ()
        self._good: dict[Path, bytes] = {}
        self._problems: dict[Path, str] = {}
        self._ends: dict[str, datetime] = {}
        self._ensured = 0.0

    def ensure(self, stack: Stack, user: User | None, now: float) -> Served:
        """The files for HAProxy, made or renewed. Raises OperatorError when one of the user's cannot be used."""
        self._ensured = now
        if stack.gateway is None or stack.gateway.listen.https is None:
            return Served()
        self._taken = self._seen = _seen(_watched(stack))
        pems = {files.certificate: combined(files) for files in _files(stack)}
        trusted = stack.edge.client_certificates
        accepted = authorities(trusted) if trusted else None
        self._good, self._problems = pems, {}
        return self._install(stack, user, accepted)

    def look(self, stack: Stack, user: User | None, now: float) -> Served | None:
        """The same when anything has changed, None when not. A file that cannot be used is journaled instead."""
        if stack.gateway is None or stack.gateway.listen.https is None:
            return None
        seen, rested = _seen(_watched(stack)), False
        rested, self._seen = seen == self._seen, seen
        if rested and seen != self._taken:
            self._taken = seen
            self._take(stack)
        elif now - self._ensured < _HOURLY:
            return None
        self._ensured = now
        trusted = stack.edge.client_certificates
        return self._install(stack, user, self._authorities(trusted) if trusted else None)

    def warnings(self) -> list[str]:
        """What status shows: what ends soon, and what could not be used."""
        now = datetime.now(UTC)
        ending = [
            f"the certificate of {name} {_ends(end, now)}" for name, end in self._ends.items() if end - now < _SOON
        ]
        return [*ending, *self._problems.values()]

    def _take(self, stack: Stack) -> None:
        """Read what changed, and keep what was good where it is not any more."""
        good = {}
        for files in _files(stack):
            try:
                good[files.certificate] = combined(files)
                self._well(files.certificate)
            except OperatorError as error:
                self._ill(files.certificate, error)
                if files.certificate in self._good:
                    good[files.certificate] = self._good[files.certificate]
        if self._good and not good:
            self._ill(self._paths.edge, OperatorError("no file with a certificate is left"))
        else:
            self._problems.pop(self._paths.edge, None)
        self._good = good or self._good

    def _authorities(self, file: Path) -> bytes | None:
        try:
            found = authorities(file)
            self._well(file)
            return found
        except OperatorError as error:
            self._ill(file, error)
            return None

    def _well(self, file: Path) -> None:
        if self._problems.pop(file, None) is not None:
            self._journal.info("edge", "certificate usable again", str(file))

    def _ill(self, file: Path, error: OperatorError) -> None:
        if self._problems.get(file) != str(error):
            self._journal.error("edge", "certificate not taken", f"{error}; what was served before still is")
        self._problems[file] = str(error)

    def _install(self, stack: Stack, user: User | None, accepted: bytes | None) -> Served:
        if self._good:
            folder = install(list(self._good.values()), self._paths.edge / "certificates", user)
        else:
            folder = authority(self._paths).ensure(development_names(stack.domain), user)
        self._warn(folder)
        if stack.edge.client_certificates is None:
            return Served(folder)
        file = self._paths.edge / AUTHORITIES
        if accepted is not None:
            install_file(file, accepted, user)
        return Served(folder, file)

    def _warn(self, folder: Path) -> None:
        """Once for each certificate that ends soon."""
        known, now = self._ends, datetime.now(UTC)
        self._ends = {_name(leaf): leaf.not_valid_after_utc for leaf in _leaves(folder)}
        for name, end in self._ends.items():
            if end - now < _SOON and known.get(name) != end:
                self._journal.warning("edge", "certificate ends soon", f"that of {name} {_ends(end, now)}; renew it")


def authority(paths: StatePaths) -> DevelopmentAuthority:
    """The stack's own authority, whose certificate people may choose to trust."""
    return DevelopmentAuthority(paths.edge / "authority")


def _files(stack: Stack) -> list[CertificateFiles]:
    return [CertificateFiles(files.certificate, files.key) for files in stack.edge.opened_certificates()]


def _watched(stack: Stack) -> Iterable[Path]:
    for files in stack.edge.opened_certificates():
        yield from (file for file in (files.certificate, files.key) if file is not None)
    if stack.edge.client_certificates:
        yield stack.edge.client_certificates


def _seen(files: Iterable[Path]) -> Seen:
    found = []
    for file in files:
        try:
            status = file.stat()
            found.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
        except OSError:
            found.append((str(file), 0, 0, 0))
    return tuple(found)


def _leaves(folder: Path) -> list[x509.Certificate]:
    return [x509.load_pem_x509_certificate(file.read_bytes()) for file in sorted(folder.glob("*.pem"))]


def _name(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return certificate.subject.rfc4514_string()
    return ", ".join(str(name.value) for name in names)


def _ends(end: datetime, now: datetime) -> str:
    if end <= now:
        return f"expired on {end:%Y-%m-%d %H:%M} UTC"
    return f"ends on {end:%Y-%m-%d %H:%M} UTC, in {(end - now).days} days"
