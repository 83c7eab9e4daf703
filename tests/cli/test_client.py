"""Whom the command line talks to: its own user's daemon, or root's."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudlet.cli.client import ControlClient
from cloudlet.errors import Refused

_STRANGER = 65_534


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[tuple[socket.socket, Path]]:
    """A socket on which another user listens; the kernel notes who called listen."""
    if os.geteuid() != 0:
        pytest.skip("only root can listen as another user")
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        os.seteuid(_STRANGER)
        try:
            listening.listen()
        finally:
            os.seteuid(0)
        yield listening, path


def test_nothing_is_said_to_another_users_socket(stranger: tuple[socket.socket, Path]) -> None:
    """In /tmp anybody may have made the socket first: it is told nothing, and the error says whose it is."""
    listening, path = stranger
    client = ControlClient(path, Path("cloudlet.yaml"))
    with pytest.raises(Refused, match=f"answered by user {_STRANGER}"):
        client.apply("name: secret", yes=False)
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(5)
        assert connection.recv(100) == b""
