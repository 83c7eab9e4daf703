"""A file of addresses and networks, one a line; `#` begins a comment."""

from __future__ import annotations

from pathlib import Path

from cloudlet.errors import OperatorError
from cloudlet.stack.findings import Fault
from cloudlet.stack.gateway.requirements import network

#: bytes; some 500,000 addresses
LARGEST = 16_000_000


def read(path: Path) -> tuple[str, ...]:
    """The networks, each once. Raises OperatorError with the line that is none."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > LARGEST:
        raise OperatorError(f"{path} has more than {LARGEST} bytes; merge its addresses into networks")
    found: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        written = line.partition("#")[0].strip()
        if written:
            try:
                found[network(written)] = None
            except Fault as error:
                raise OperatorError(f"{path}:{number}: {error}; {error.fix}") from error
    return tuple(found)
