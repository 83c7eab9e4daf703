"""The counters of a forwarder, and the file by which others read them.

One line of JSON, padded to a fixed length and written in one call, so that no reader sees half of it. The
file is not replaced but rewritten in place: the forwarder runs as a user that may not create files beside it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cloudlet.errors import DependencyError

#: bytes: more than the longest line, less than a page
_LENGTH = 1024


@dataclass(slots=True)
class Statistics:
    """Counts since the start of the process. `dropped` datagrams had no target or no room in the kernel;
    `refused` ones met a closed port; `evicted` flows made room for newer ones; `flows` is the present
    number."""

    datagrams_in: int = 0
    datagrams_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: int = 0
    refused: int = 0
    evicted: int = 0
    flows: int = 0


class StatisticsFile:
    """The writing side. Raises OSError when the file can neither be opened nor created."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        self._written = b""

    def write(self, statistics: Statistics) -> None:
        """Raises OSError."""
        line = json.dumps(asdict(statistics)).encode().ljust(_LENGTH - 1) + b"\n"
        if line != self._written:
            os.pwrite(self._descriptor, line, 0)
            self._written = line


def read_statistics(file: Path) -> Statistics:
    """The reading side; all zero before the first write. Raises DependencyError for any other content."""
    try:
        content = file.read_bytes().strip()
        return Statistics(**json.loads(content)) if content else Statistics()
    except FileNotFoundError:
        return Statistics()
    except (OSError, ValueError, TypeError) as error:
        raise DependencyError(f"{file} holds no statistics of a forwarder: {error}") from error
