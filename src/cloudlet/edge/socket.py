"""HAProxy's runtime socket. Commands go one after the other, each on a connection of its own.

The socket is bound with `severity-output number`, so that a refusal is recognised by its level, not by its words.
Why no standing connection: HAProxy ends one when the process is succeeded, and a new one costs 0.2 ms.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from pathlib import Path

from cloudlet.errors import EngineFailed

#: syslog levels emergency to error; some successes come as a warning
_REFUSAL = re.compile(r"^\[[0-3]\]: (.*)$", re.MULTILINE)
_TIMEOUT = 5.0
_RETRY = 0.002
#: bytes of one command with its payload; HAProxy takes what fits its buffer of 16 kB
_LONGEST = 12_000


class RuntimeSocket:
    """A client of the runtime socket at `path`. While nobody listens there, because HAProxy is just being restarted,
    it tries for `patience` seconds."""

    def __init__(self, path: Path, patience: float = 1.0) -> None:
        self.path, self._patience = path, patience
        self._turn = asyncio.Lock()

    async def ask(self, *commands: str) -> str:
        """What HAProxy answers to the commands, carried out in one go. Raises EngineFailed when it does not answer,
        or refuses one of them (the others are carried out)."""
        command = "; ".join(commands)
        answer = await self._exchange(command)
        refused = _REFUSAL.findall(answer)
        if refused:
            shown = command.partition(" <<\n")[0]  # what is behind it may be a private key
            raise EngineFailed(f"haproxy refused `{shown}`: {' '.join(refused)}")
        return answer

    async def replace_map(self, file: str, entries: Mapping[str, str]) -> None:
        """Exchange all entries of a map, by the name haproxy.cfg gives it, at once; lookups see either the old ones or
        the new ones."""
        prepared = await self.ask(f"prepare map {file}")
        version = prepared.rpartition(":")[2].strip()
        if not version.isdigit():
            raise EngineFailed(f"haproxy answered {prepared!r} to `prepare map {file}`, without a version")
        for payload in _payloads(entries):
            await self.ask(f"add map @{version} {file} <<\n{payload}\n")
        await self.ask(f"commit map @{version} {file}")

    async def _exchange(self, command: str) -> str:
        try:
            async with self._turn, asyncio.timeout(_TIMEOUT):
                reader, writer = await self._connect()
                try:
                    writer.write(command.encode(errors="surrogateescape") + b"\n")
                    return (await reader.read(-1)).decode(errors="replace")
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            reason = str(error) or f"no answer within {_TIMEOUT:g} s"
            raise EngineFailed(f"haproxy does not answer at {self.path}: {reason}") from error

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return await asyncio.open_unix_connection(self.path)
            except (ConnectionRefusedError, FileNotFoundError):
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(_RETRY)


def _payloads(entries: Mapping[str, str]) -> list[str]:
    """The entries as lines, in pieces that fit one command each."""
    pieces: list[list[str]] = []
    size = _LONGEST
    for key, value in entries.items():
        line = f"{key} {value}\n"
        length = len(line.encode(errors="surrogateescape"))
        if size + length > _LONGEST:
            pieces.append([])
            size = 0
        pieces[-1].append(line)
        size += length
    return ["".join(piece) for piece in pieces]
