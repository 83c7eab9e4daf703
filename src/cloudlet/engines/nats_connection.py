"""A connection to NATS that can ask one question at a time: enough to check it and to govern it.

The protocol is text: the server says INFO, the client CONNECT and PING, and from PONG on PUB, SUB and MSG
(https://docs.nats.io/reference/reference-protocols/nats-protocol). A client library is only worth its weight
to services.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from types import TracebackType
from typing import Any, Self

from cloudlet.contracts.secret import Credential
from cloudlet.errors import EngineFailed

#: seconds for one answer
_PATIENCE = 5.0


class NatsRefused(EngineFailed):
    """The server answered with an error; its words are the message."""


class NatsConnection:
    """Use as `async with await NatsConnection.open(...)`. Raises OSError and TimeoutError as long as nobody
    answers, NatsRefused when the server says no."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.server: dict[str, Any] = {}

    @classmethod
    async def open(cls, host: str, port: int, credential: Credential) -> Self:
        async with asyncio.timeout(_PATIENCE):
            connection = cls(*await asyncio.open_connection(host, port))
            try:
                await connection._introduce(credential)
            except BaseException:
                await connection.close()
                raise
        return connection

    async def _introduce(self, credential: Credential) -> None:
        verb, _, rest = (await self._line()).partition(" ")
        if verb != "INFO":
            raise NatsRefused(f"no NATS server: it began with {verb[:40]!r}")
        self.server = json.loads(rest)
        introduction = {
            "verbose": False,
            "pedantic": False,
            "lang": "python",
            "version": "1",
            "name": "cloudlet",
            "headers": True,
            "no_responders": True,
            "user": credential.user,
            "pass": credential.password.reveal(),
        }
        self._writer.write(f"CONNECT {json.dumps(introduction)}\r\nPING\r\n".encode())
        await self._until("PONG")

    async def request(self, subject: str, payload: bytes = b"") -> dict[str, Any]:
        """The JSON answer to a question. NatsRefused when nobody listens there or the answer is an error."""
        inbox = f"_INBOX.{secrets.token_hex(11)}"
        head = f"SUB {inbox} 1\r\nUNSUB 1 1\r\nPUB {subject} {inbox} {len(payload)}\r\n"
        self._writer.write(head.encode() + payload + b"\r\n")
        async with asyncio.timeout(_PATIENCE):
            answer = await self._message(subject)
        if "error" in answer:
            raise NatsRefused(f"{subject}: {answer['error'].get('description', answer['error'])}")
        return answer

    async def _message(self, subject: str) -> dict[str, Any]:
        words = (await self._until("MSG", "HMSG")).split(" ")
        body = (await self._reader.readexactly(int(words[-1]) + 2))[:-2]
        if words[0] == "HMSG":
            head, body = body[: int(words[-2])], body[int(words[-2]) :]
            if head.startswith(b"NATS/1.0 503"):
                raise NatsRefused(f"nobody answers {subject}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    async def _until(self, *verbs: str) -> str:
        while True:
            line = await self._line()
            verb = line.partition(" ")[0]
            if verb in verbs:
                return line
            if verb == "-ERR":
                raise NatsRefused(line.removeprefix("-ERR ").strip("'"))
            if verb == "PING":
                self._writer.write(b"PONG\r\n")

    async def _line(self) -> str:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the server closed the connection")
        return line.decode().strip()

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
