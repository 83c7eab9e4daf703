"""A forward proxy on a port of its own, and destinations that say byte for byte what a test wants."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from cloudlet.contracts.egress import EgressConfiguration, digest
from cloudlet.gateway.egress.log import Log
from cloudlet.gateway.egress.serve import Proxy
from cloudlet.stack.destinations import Address, address_of
from cloudlet.stack.egress import Rules

SECRET = "s3cret"
#: seconds within which whatever is waited for has long happened
PATIENCE = 20.0
LOOPBACK = "127.0.0.0/8"
#: names that lead to this machine, so that rules for names can be tried
NAMES = {
    "good.test": ["127.0.0.1"],
    "deep.good.test": ["127.0.0.1"],
    "inside.test": ["10.0.0.7"],
    "metadata.test": ["169.254.169.254"],
    "mixed.test": ["10.0.0.7", "127.0.0.1"],
    "six.test": ["::ffff:127.0.0.1"],
}


class Running:
    """A proxy that runs, its log, and raw clients."""

    def __init__(self, proxy: Proxy, port: int, log: Path) -> None:
        self.proxy, self.port, self._log = proxy, port, log
        #: what the resolver was asked
        self.asked: list[str] = []

    async def entries(self, count: int) -> list[dict[str, Any]]:
        """The log, once it has at least so many lines."""
        async with asyncio.timeout(PATIENCE):
            while len(lines := self._log.read_text().splitlines()) < count:
                await asyncio.sleep(0.01)
        return [json.loads(line) for line in lines]

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, raw: bytes) -> bytes:
        """All that is answered to these bytes, up to the end of the connection."""
        reader, writer = await self.open()
        writer.write(raw)
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
        writer.close()
        return answer

    async def get(self, url: str, *fields: str, service: str = "orders", method: str = "GET") -> tuple[int, bytes, str]:
        """Status, body and head of one request."""
        lines = [f"{method} {url} HTTP/1.1", "Host: ignored.example", credential(service), "Connection: close", *fields]
        return split(await self.say("\r\n".join([*lines, "", ""]).encode("latin-1")))

    async def connect(self, to: str, service: str = "orders") -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        """The status of CONNECT, and the tunnel."""
        reader, writer = await self.open()
        writer.write(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{credential(service)}\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1]), reader, writer


def credential(service: str = "orders", secret: str = SECRET) -> str:
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{service}:{secret}".encode()).decode()


def split(answer: bytes) -> tuple[int, bytes, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), body, head.decode("latin-1")


def looked_up(names: Mapping[str, Sequence[str]], asked: list[str]) -> Callable[[str], Sequence[Address]]:
    def lookup(name: str) -> Sequence[Address]:
        asked.append(name)
        if name not in names:
            raise OSError(0, "no such name")
        return [address_of(text) for text in names[name]]

    return lookup


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the process runs on."""
    return {"uvloop": uvloop.new_event_loop}


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts proxies: rules by service, and the rest of the configuration."""
    running: list[tuple[Proxy, int]] = []

    async def make(
        rules: Mapping[str, Rules] | None = None,
        names: Mapping[str, Sequence[str]] = NAMES,
        **configuration: Any,
    ) -> Running:
        given = {"orders": Rules(allow=(LOOPBACK, "*.good.test", "good.test"))} if rules is None else rules
        file = tmp_path / f"log-{len(running)}"
        descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        log = Log(all_of_it=configuration.pop("log_all", True), descriptor=descriptor)
        credentials = {digest(service, SECRET): service for service in given}
        asked: list[str] = []
        proxy = Proxy(EgressConfiguration(credentials, given, **configuration), log, looked_up(names, asked))
        running.append((proxy, descriptor))
        found = Running(proxy, await proxy.start(0), file)
        found.asked = asked
        return found

    yield make
    for proxy, descriptor in running:
        await proxy.close()
        os.close(descriptor)


class Destination:
    """A server whose handler gets each connection; `heads` are the request heads that `answering` has read."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Handler = Callable[[Destination, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def destination(handler: Handler, tls: Any = None) -> AsyncIterator[Destination]:
    found = Destination(0)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        found.connections += 1
        try:
            await handler(found, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=2048)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes) -> Handler:
    """Answers each request, on whichever connection, with the next of these; the last one again and again."""
    turn = iter(answers)
    last = answers[-1]

    async def handler(found: Destination, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(
                (int(x.split(":")[1]) for x in head.split("\r\n") if x.lower().startswith("content-length")), 0
            )
            if "transfer-encoding: chunked" in head.lower():
                body = await reader.readuntil(b"0\r\n\r\n")
            else:
                body = await reader.readexactly(length)
            found.heads.append(head)
            found.bodies.append(body)
            answer = next(turn, last)
            writer.write(answer)
            await writer.drain()
            if b"Content-Length" not in answer and b"chunked" not in answer and b" 304 " not in answer:
                return

    return handler


def ok(body: bytes = b"hello", *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*lines, b"", body])


async def echo(_: Destination, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
