"""The control API: HTTP and JSON over a Unix socket that only its owner may open (docs/reference/api.md)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from cloudlet import __version__
from cloudlet.control.keys_api import key_routes
from cloudlet.control.limits import limit_usage
from cloudlet.control.routes_api import route_routes
from cloudlet.control.status import stack_status
from cloudlet.control.system import System
from cloudlet.control.tasks import bug
from cloudlet.edge.render import live_maps
from cloudlet.edge.render_routes import map_files, map_text
from cloudlet.errors import CloudletError, InternalError, OperatorError, Refused, StackError
from cloudlet.observe.prometheus import exposition
from cloudlet.runtime.logs import LogLine, follow, tail
from cloudlet.stack import Stack, parse

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: bytes; a file describing a system is far smaller
_LARGEST_BODY = 4 * 1024 * 1024
log = logging.getLogger("cloudlet.control")


class Api:
    """Answers for one running system. `stop` is called when the stack is asked to go down."""

    def __init__(self, system: System, stop: Callable[[], None]) -> None:
        self._system, self._stop = system, stop
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve on the stack's control socket; the socket appears only when it answers."""
        app = web.Application(middlewares=[_errors], client_max_size=_LARGEST_BODY)
        app.add_routes(
            [
                web.get("/v1/version", self._version),
                web.get("/v1/status", self._status),
                web.post("/v1/plan", self._plan),
                web.post("/v1/apply", self._apply),
                web.post("/v1/scale", self._scale),
                web.post("/v1/restart", self._restart),
                web.post("/v1/down", self._down),
                web.get("/v1/events", self._events),
                web.get("/v1/logs", self._logs),
                web.get("/v1/audit", self._audit),
                web.get("/v1/config", self._config),
                web.get("/v1/metrics", self._metrics),
                web.get("/v1/limits", self._limits),
                *key_routes(self._system),
                *route_routes(self._system),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        socket = self._system.paths.control_socket
        socket.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(socket)).start()
        socket.chmod(0o600)

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._system.paths.control_socket.unlink(missing_ok=True)

    async def _version(self, _: web.Request) -> web.Response:
        stack = self._system.desired.stack
        return web.json_response({"version": __version__, "pid": self._system.pid, "stack": stack.name})

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(asdict(await stack_status(self._system)))

    async def _plan(self, request: web.Request) -> web.Response:
        body = await _body(request, text=str, file=str)
        return web.json_response(asdict(self._system.desired.plan(self._parse(body))))

    async def _apply(self, request: web.Request) -> web.Response:
        body = await _body(request, text=str, file=str, yes=bool)
        return web.json_response(asdict(await self._system.apply(self._parse(body), undo=body["yes"])))

    def _parse(self, body: Mapping[str, str]) -> Stack:
        """The stack that the body describes. One folder is one stack: another file beside it is Refused."""
        file, own = body["file"], self._system.file
        if file and Path(file).resolve() != own:
            raise Refused(
                f"this folder's stack runs from {own}; it is not replaced by {file}: name that file with -f,"
                " take the stack down first, or move the other file to a folder of its own"
            )
        return parse(body["text"], own)

    async def _scale(self, request: web.Request) -> web.Response:
        counts = (await _body(request, services=dict))["services"]
        if not all(isinstance(count, int) and not isinstance(count, bool) for count in counts.values()):
            raise OperatorError(f"services must give each service a whole number, not {counts!r}")
        await self._system.scale(counts)
        status = await stack_status(self._system)
        return web.json_response({"services": [asdict(s) for s in status.services if s.name in counts]})

    async def _restart(self, request: web.Request) -> web.Response:
        names = (await _body(request, services=list))["services"]
        return web.json_response({"restarting": self._system.restart([str(name) for name in names])})

    async def _down(self, _: web.Request) -> web.Response:
        self._stop()
        return web.json_response({"going_down": True}, status=202)

    async def _config(self, _: web.Request) -> web.Response:
        configuration = self._system.configuration()
        # what is looked up in the others may be somebody's credential
        routes = {n: map_text(entries) for n, entries in live_maps(configuration).items() if n.startswith("routes")}
        maps = {**map_files(configuration), **routes}
        return web.Response(text="\n".join([self._system.edge.configuration_text(), *_as_comments(maps)]))

    async def _metrics(self, _: web.Request) -> web.Response:
        backends, routes = await self._system.statistics(), await self._system.route_statistics()
        return web.Response(text=exposition(backends, self._system.desired.stack.name, routes))

    async def _limits(self, request: web.Request) -> web.Response:
        above = _share(request, "above", 0.5)
        usages = await limit_usage(self._system.edge, self._system.configuration(), above)
        return web.json_response({"limits": [asdict(usage) for usage in usages]})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        since = _whole_number(request, "since", 0)
        journal = self._system.journal
        if request.query.get("follow") != "1":
            return web.json_response([asdict(entry) for entry in journal.since(since)])
        return await _stream(request, (asdict(entry) async for entry in journal.follow(since)))

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        files = self._system.logs(request.query.getall("service", []), request.query.getall("instance", []))
        count = _whole_number(request, "tail", 100)
        if request.query.get("follow") == "1":
            return await _stream(request, (_line(line) async for line in follow(files, count)))
        lines = await asyncio.to_thread(tail, files, count)
        return web.json_response([_line(line) for line in lines])

    async def _audit(self, request: web.Request) -> web.StreamResponse:
        await asyncio.to_thread(self._system.audit.copy)
        files = {"audit": self._system.paths.log("audit")}
        count, since = _whole_number(request, "tail", 1000), _seconds(request, "since")
        if request.query.get("follow") == "1":
            rows = (row async for line in follow(files, count) for row in _audited(line, since))
            return await _stream(request, rows)
        lines = await asyncio.to_thread(tail, files, count)
        return web.json_response([row for line in lines for row in _audited(line, since)])


def _audited(line: LogLine, since: float) -> Iterator[dict[str, Any]]:
    """One row, or none for what is older, or an unfinished line of a machine that went down."""
    if line.at >= since:
        with contextlib.suppress(ValueError):
            yield {"at": line.at, **json.loads(line.text)}


def _as_comments(maps: Mapping[str, str]) -> list[str]:
    """The maps that the configuration looks things up in, so that the whole stays a configuration."""
    shown = [(f"{name}:", *text.splitlines()) for name, text in maps.items() if text]
    return ["".join(f"# {line}\n" for line in lines) for lines in shown]


def _line(line: LogLine) -> dict[str, Any]:
    return {"instance": line.instance, "at": line.at, "line": line.text}


async def _stream(request: web.Request, rows: AsyncIterator[dict[str, Any]]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    try:
        async for row in rows:
            await response.write(json.dumps(row).encode() + b"\n")
    except ConnectionError:
        pass  # the reader has seen enough
    return response


async def _body(request: web.Request, **fields: type) -> dict[str, Any]:
    """The request's JSON object with these fields, each of its type. A missing one is its type's empty value."""
    try:
        given = await request.json() if request.can_read_body else {}
    except ValueError as error:
        raise OperatorError(f"the body is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise OperatorError("the body must be a JSON object")
    body = {name: given.get(name, kind()) for name, kind in fields.items()}
    for name, kind in fields.items():
        if not isinstance(body[name], kind):
            raise OperatorError(f"{name} must be {kind.__name__}, not {body[name]!r}")
    return body


def _whole_number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal():
        raise OperatorError(f"{name} must be a whole number, not {text!r}")
    return int(text)


def _share(request: web.Request, name: str, default: float) -> float:
    text = request.query.get(name, str(default))
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise OperatorError(f"{name} must be a number from 0 to 1, not {text!r}")
    return share


def _seconds(request: web.Request, name: str) -> float:
    """A Unix time; 0 for none."""
    try:
        return float(request.query.get(name, "0"))
    except ValueError as error:
        raise OperatorError(f"{name} must be a Unix time, not {request.query[name]!r}") from error


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except StackError as error:
        return _failure(error, 422, problems=[asdict(problem) for problem in error.problems])
    except Refused as error:
        return _failure(error, 409)
    except OperatorError as error:
        return _failure(error, 400)
    except CloudletError as error:
        return _failure(error, 500)
    except web.HTTPException:
        raise
    except Exception as error:  # a bug is told where it is, rather than "500 Internal Server Error"
        log.exception("a bug: %s %s", request.method, request.path)
        return _failure(InternalError(bug(error)), 500)


def _failure(error: CloudletError, status: int, **more: Any) -> web.Response:
    body = {"error": str(error), "kind": type(error).__name__, "exit_code": error.exit_code, **more}
    return web.json_response(body, status=status)
