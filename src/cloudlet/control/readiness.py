"""Whether a starting instance really answers: probed quickly at first, then ever less often.

HAProxy counts a new server as up before its first check, so an instance is announced only when it has proved itself
here; from then on the active checks are HAProxy's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

#: seconds between the first probes, and the longest pause they grow to: a ready instance waits no longer than that
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.04
_GROWTH = 1.2


@dataclass(frozen=True, slots=True)
class Probe:
    """What to ask. `path` None: a TCP connect is enough; `datagram`: a bound UDP port is."""

    host: str
    port: int
    timeout: float
    path: str | None = None
    http2: bool = False
    datagram: bool = False
    expect: tuple[tuple[int, int], ...] = ((200, 399),)


async def wait_ready(probe: Probe) -> None:
    """Return when the instance answers as it should; cancel to give up."""
    pause = _FIRST_PAUSE
    while not await is_ready(probe):
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * _GROWTH)


async def is_ready(probe: Probe) -> bool:
    """One attempt, over at the latest after `probe.timeout` seconds."""
    if probe.datagram:
        return _udp_bound(probe.port)
    try:
        async with asyncio.timeout(probe.timeout):
            return await _answers(probe)
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        return False


async def _answers(probe: Probe) -> bool:
    reader, writer = await asyncio.open_connection(probe.host, probe.port)
    try:
        if probe.path is None:
            return True
        ask = _ask_http2 if probe.http2 else _ask_http1
        status = await ask(reader, writer, f"{probe.host}:{probe.port}", probe.path)
        return any(low <= status <= high for low, high in probe.expect)
    finally:
        writer.close()


async def _ask_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str) -> int:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1"))
    words = (await reader.readline()).split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise ValueError("not HTTP/1")
    return int(words[1])


async def _ask_http2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str) -> int:
    from cloudlet.control.http2 import request_status

    return await request_status(reader, writer, host, path)


def _udp_bound(port: int) -> bool:
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        if any(int(line.split()[1].rpartition(":")[2], 16) == port for line in lines):
            return True
    return False
