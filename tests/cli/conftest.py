"""A recorded daemon: the control API's protocol with fixed answers on a Unix socket, and the real program.

No stack runs behind it. What a daemon really answers is tested with real engines in tests/control; here it is
how the command line asks, shows and exits.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cloudlet.contracts.paths import StatePaths
from cloudlet.control.views import (
    AddressStatus,
    EngineStatus,
    Event,
    InstanceStatus,
    PlanView,
    ServiceStatus,
    StackStatus,
)

CLOUDLET = Path(sys.executable).with_name("cloudlet")
FILE = """\
name: shop
services:
  orders:
    command: python3 -m http.server {port} --bind 127.0.0.1
    instances: 2
    health: {path: /}
gateway:
  listen: {http: 8080}
  routes: [{path: /*, to: orders}]
"""


def instance(number: int, phase: str = "serving", **more: Any) -> InstanceStatus:
    usual = InstanceStatus(
        name=f"orders-{number}",
        service="orders",
        phase=phase,
        because="its check answered",
        since=1.0,
        pid=4000 + number,
        port=20000 + number,
        revision="r1",
        restarts=0,
    )
    return replace(usual, **more)


def status(state: str = "healthy", *instances: InstanceStatus, **more: Any) -> StackStatus:
    shown = list(instances or (instance(1), instance(2)))
    ready = sum(i.phase == "serving" for i in shown)
    service = ServiceStatus(
        name="orders",
        state=more.pop("service_state", state),
        wanted=2,
        wanted_by="file",
        ready=ready,
        revision="r1",
        version="1.4",
        balance="least-connections",
        rate=120,
        requests=34_567,
        response_time=0.0012,
        instances=shown,
    )
    hub = replace(instance(1), name="cloudlet-hub-1", service="cloudlet-hub")
    own = ServiceStatus("cloudlet-hub", "healthy", 1, "file", 1, "r1", "", "random", hidden=True, instances=[hub])
    engine = EngineStatus("edge", "haproxy", "", "2.8.25", "ready", "it takes traffic", 3999, 0)
    return StackStatus(
        name="shop",
        file="cloudlet.yaml",
        state=state,
        because=f"{ready} of 2 serve",
        pid=more.pop("pid", 0),
        started=1.0,
        addresses=[AddressStatus("gateway http", more.pop("gateway", "http://127.0.0.1:8080"))],
        services=[service, own],
        engines=[engine],
        warnings=["memory limits do not work here"],
    )


@dataclass
class Daemon:
    """What is answered, and what was asked. A test changes the answers before it runs a command."""

    statuses: list[StackStatus] = field(default_factory=lambda: [status()])
    plan: PlanView = field(default_factory=PlanView)
    events: list[Event] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    failure: tuple[int, dict[str, Any]] | None = None
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def paths_asked(self) -> list[str]:
        return [path for _, path, _ in self.asked]

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._record])
        app.add_routes(
            [
                web.get("/v1/version", self._version),
                web.get("/v1/status", self._status),
                web.post("/v1/plan", self._answer(lambda: asdict(self.plan))),
                web.post("/v1/apply", self._answer(lambda: {**asdict(self.plan), "applied": True})),
                web.post("/v1/scale", self._answer(lambda: {"services": [asdict(status().services[0])]})),
                web.post("/v1/restart", self._answer(lambda: {"restarting": ["orders-1", "orders-2"]})),
                web.post("/v1/down", self._down),
                web.get("/v1/events", self._events),
                web.get("/v1/logs", self._logs),
                web.get("/v1/config", self._config),
            ]
        )
        return app

    @web.middleware
    async def _record(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        query = {name: request.query.getall(name) for name in request.query}
        self.asked.append((request.method, request.path, body if body is not None else query))
        if self.failure is not None and request.path != "/v1/version":
            return web.json_response(self.failure[1], status=self.failure[0])
        return await handler(request)

    def _answer(self, make: Callable[[], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(_: web.Request) -> web.Response:
            return web.json_response(make())

        return answer

    async def _version(self, _: web.Request) -> web.Response:
        pid = self.process.pid if self.process else 0
        return web.json_response({"version": "0.1.0", "pid": pid, "stack": "shop"})

    async def _status(self, _: web.Request) -> web.Response:
        now = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.json_response({**asdict(now), "a_field_of_the_future": 1})

    async def _down(self, _: web.Request) -> web.Response:
        return web.json_response({"going_down": True}, status=202)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("follow") != "1":
            return web.json_response([asdict(Event(7, 1.0, "info", "old", "news", ""))])
        response = await self._stream(request, [asdict(event) for event in self.events])
        if self.process is not None:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
        return response

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("follow") != "1":
            return web.json_response(self.logs)
        return await self._stream(request, self.logs)

    async def _stream(self, request: web.Request, rows: list[dict[str, Any]]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for row in rows:
            await response.write(json.dumps(row).encode() + b"\n")
        return response

    async def _config(self, _: web.Request) -> web.Response:
        return web.Response(text="global\n  maxconn 1000\n")


@dataclass
class Result:
    status: int
    out: str
    err: str


class Program:
    """The installed `cloudlet` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "cloudlet.yaml"

    async def __call__(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Result:
        known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            str(CLOUDLET),
            *arguments,
            cwd=self.folder,
            env={**known, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), 60)
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())


@pytest.fixture
def cloudlet(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.fixture
async def daemon(cloudlet: Program) -> AsyncIterator[Daemon]:
    """A recorded daemon for the file of `cloudlet`."""
    cloudlet.file.write_text(FILE)
    paths = StatePaths.beside(cloudlet.file)
    paths.create()
    recorded = Daemon()
    runner = web.AppRunner(recorded.application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(paths.control_socket)).start()
    try:
        yield recorded
    finally:
        await runner.cleanup()
        if recorded.process is not None:
            recorded.process.kill()
            recorded.process.wait()
