"""The certificates of the stack's TLS listener: the user's own, else one of the development authority."""

from __future__ import annotations

from pathlib import Path

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.edge.certificates import (
    CertificateFiles,
    DevelopmentAuthority,
    combined,
    development_names,
    install,
)
from cloudlet.stack import Stack


def ensure_certificates(stack: Stack, paths: StatePaths, user: User | None) -> Path | None:
    """The folder that HAProxy reads certificates from, None where nothing listens for TLS.

    Raises OperatorError when a certificate of the user's cannot be used.
    """
    if stack.gateway is None or stack.gateway.listen.https is None:
        return None
    given = stack.edge.certificates
    if given:
        pems = [combined(CertificateFiles(files.certificate, files.key)) for files in given]
        return install(pems, paths.edge / "certificates", user)
    return authority(paths).ensure(development_names(stack.domain), user)


def authority(paths: StatePaths) -> DevelopmentAuthority:
    """The stack's own authority, whose certificate people may choose to trust."""
    return DevelopmentAuthority(paths.edge / "authority")
