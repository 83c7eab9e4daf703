"""Ports for instances and engines, all on the loopback address."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from cloudlet.errors import DependencyError

#: below Linux's ephemeral range (32768 to 60999), so that no outgoing connection takes one first
LOWEST, HIGHEST = 20_000, 31_999


def free_port(taken: Collection[int]) -> int:
    """A port that is not `taken` and that nobody has bound, at random so that a port just left is not met by
    those who still remember who was there. Raises DependencyError when there is none."""
    size = HIGHEST - LOWEST + 1
    first = random.randrange(size)
    for step in range(size):
        port = LOWEST + (first + step) % size
        if port not in taken and is_free(port):
            return port
    raise DependencyError(f"all ports from {LOWEST} to {HIGHEST} are taken; end what uses them")


def is_free(port: int) -> bool:
    """Whether nobody has bound it on the loopback address, neither for TCP nor for UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
