"""The certificates of the stack's TLS listener: the user's own, else one of the development authority."""

from __future__ import annotations

from pathlib import Path

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.stack import Stack


def ensure_certificates(stack: Stack, paths: StatePaths, user: User | None) -> Path | None:
    """The folder that HAProxy reads certificates from, None where nothing listens for TLS."""
    raise NotImplementedError
