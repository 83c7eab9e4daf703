"""HTTP as bytes, for what no client library would send."""

from __future__ import annotations

import asyncio


async def send(port: int, request: bytes, *, host: str = "127.0.0.1") -> tuple[int, bytes]:
    """The status and the whole answer; the connection is closed by the server, or after a second."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        answer = b""
        try:
            async with asyncio.timeout(1.0):
                while part := await reader.read(65536):
                    answer += part
        except TimeoutError:
            pass
        status = answer.split(b" ", 2)[1] if answer.startswith(b"HTTP/") else b"0"
        return int(status), answer
    finally:
        writer.close()


def get(path: str, *headers: str, host: str = "edge.localhost", method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
