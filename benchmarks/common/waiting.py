"""Waiting for a condition, never for a time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable


class TookTooLong(Exception):
    """A condition did not come true."""


def until(holds: Callable[[], bool], what: str, *, within: float = 10.0, every: float = 0.01) -> None:
    """Return as soon as `holds` is true. Raises TookTooLong, which names `what` was awaited."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise TookTooLong(f"{what} did not happen within {within:g} s")
        time.sleep(every)


def listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port that nobody has now; the caller should take it soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
