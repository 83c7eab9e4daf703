"""Many requests on one connection, as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def request(path: str, host: str, method: str = "GET", headers: Iterable[tuple[str, str]] = ()) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def ask(port: int, requests: Sequence[tuple[str, bytes]]) -> list[Answer]:
    """The answers to (method, request), in their order; a refusal that closes the connection opens another."""
    answers: list[Answer] = []
    while len(answers) < len(requests):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(10):
                for method, text in requests[len(answers) :]:
                    writer.write(text)
                    answers.append(await _answer(reader, method))
                    if answers[-1].headers.get("connection") == "close":
                        break
        finally:
            writer.close()
    return answers


async def _answer(reader: asyncio.StreamReader, method: str) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in head[1:] if line)
    headers = {name.lower(): value for name, _, value in pairs}
    bodyless = method == "HEAD" or head[0].split()[1] in ("204", "304")
    length = 0 if bodyless else int(headers.get("content-length", 0))
    return Answer(int(head[0].split()[1]), headers, await reader.readexactly(length))
