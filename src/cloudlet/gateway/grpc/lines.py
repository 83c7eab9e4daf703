"""Messages one after the other over HTTP: one JSON value a line (NDJSON), or server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from cloudlet.gateway.grpc.messages import LARGEST, Unfit

NDJSON, EVENTS = "application/x-ndjson", "text/event-stream"


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The lines of a body as they come, without empty ones; the last needs no end. Raises Unfit for one too long."""
    rest = bytearray()
    async for chunk in chunks:
        *ended, last = chunk.split(b"\n")
        for line in ended:
            rest += line
            if rest.strip():
                yield _bounded(rest)
            rest.clear()
        rest += last
        _bounded(rest)
    if rest.strip():
        yield bytes(rest)


def _bounded(line: bytearray) -> bytes:
    if len(line) > LARGEST:
        raise Unfit(f"a message has at most {LARGEST} bytes")
    return bytes(line)


def message_line(kind: str, content: bytes) -> bytes:
    return b"data: " + content + b"\n\n" if kind == EVENTS else content + b"\n"


def error_line(kind: str, said: Any) -> bytes:
    """The status is sent long ago when a stream fails: its last line says so."""
    content = json.dumps({"error": said}, ensure_ascii=False).encode("utf-8", "replace")
    return b"event: error\ndata: " + content + b"\n\n" if kind == EVENTS else content + b"\n"
