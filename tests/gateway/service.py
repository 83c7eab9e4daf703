"""The gateway service as production starts it: a process of its own with its file, real services behind it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from cloudlet.contracts.gateway import CONFIGURATION, GatewayConfiguration
from cloudlet.engines.locate import usable
from cloudlet.stack.gateway import Route

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def echo(request: web.Request) -> web.Response:
    """Says what it was sent."""
    body = await request.read()
    headers = [[name.lower(), value] for name, value in request.headers.items()]
    said = {"method": request.method, "target": request.raw_path, "headers": headers, "body": body.decode()}
    return web.json_response(said)


@dataclass
class Service:
    """A real HTTP server; `answer` may be exchanged at any time."""

    answer: Answer = echo
    port: int = 0
    targets: list[str] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    async def start(self) -> Service:
        application = web.Application(client_max_size=100_000_000)
        application.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.targets.append(request.raw_path)
        return await self.answer(request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def says(self, value: Any, status: int = 200, **headers: str) -> None:
        """From now on this JSON."""
        text = value if isinstance(value, str) else json.dumps(value)
        given = {name.replace("_", "-"): content for name, content in headers.items()}
        given.setdefault("content-type", "application/json")

        async def answer(_: web.Request) -> web.Response:
            return web.Response(status=status, body=text.encode(), headers=given)

        self.answer = answer


@dataclass(frozen=True)
class Said:
    """An answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> str:
        """The status and why the edge is told that it was refused."""
        return f"{self.status} {self.headers.get('cloudlet-refused', '')}".strip()

    def json(self) -> Any:
        return json.loads(self.body)


class Gateway:
    """One instance of the gateway service. It may outlive a test, whose services then are on the ports it knows."""

    def __init__(self, folder: Path, configuration: GatewayConfiguration) -> None:
        self.file = folder / "gateway.json"
        self.file.write_bytes(CONFIGURATION.dump_json(configuration))
        self.file.chmod(0o640)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> subprocess.Popen[bytes]:
        arguments = ("-m", "cloudlet.gateway", "--port", str(self.port), "--config", str(self.file))
        self.process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.PIPE)
        return self.process

    def start(self) -> Gateway:
        process, deadline = self.launch(), time.monotonic() + 20
        while not self.healthy():
            assert process.poll() is None, f"it ended: {process.stderr and process.stderr.read().decode()}"
            assert time.monotonic() < deadline, "it did not become healthy"
            time.sleep(0.01)
        return self

    def healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/.cloudlet/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    async def ask(
        self,
        target: str,
        method: str = "GET",
        *,
        label: str = "r",
        body: bytes | str | AsyncIterator[bytes] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        """As the edge would pass it on."""
        given = {"Cloudlet-Route": label, **(headers or {})} if label else dict(headers or {})
        url = URL(f"http://127.0.0.1:{self.port}{target}", encoded=True)
        session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(20))
        what: dict[str, Any] = {"data": body, "json": json, "headers": given, "allow_redirects": False}
        async with session, session.request(method, url, **what) as got:
            return Said(got.status, got.headers, await got.read())

    def stop(self) -> int:
        assert self.process is not None, "it was started"
        self.process.terminate()
        try:
            return self.process.wait(10)
        finally:
            self.kill()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stderr is not None
            self.process.stderr.close()


def gateway(folder: Path, routes: Mapping[str, dict[str, Any]], store: str = "", **ports: int) -> Gateway:
    """The gateway service with these routes, by their labels; each without a path has `/*`. Services by their ports."""
    designs = {label: Route.model_validate({"path": "/*", **design}) for label, design in routes.items()}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    return Gateway(folder, GatewayConfiguration(routes=designs, services=urls, store=store)).start()


@contextmanager
def valkey(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real Valkey's URL, with a password, and its process."""
    port = free_port()
    arguments = (
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--requirepass",
        "secret",
        "--dir",
        str(folder),
    )
    process = subprocess.Popen([str(usable("valkey")), *arguments], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not _listens(port):
            assert time.monotonic() < deadline, "Valkey did not start"
            time.sleep(0.01)
        yield f"redis://:secret@127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
