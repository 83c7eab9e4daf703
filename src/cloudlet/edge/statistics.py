"""HAProxy's counters, read from `show stat` (management.txt, 9.1: CSV whose first line names the columns)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import replace

from cloudlet.contracts.edge import BackendStatistics, ServerState, ServerStatistics
from cloudlet.edge.internal import is_internal
from cloudlet.edge.render_request import HOLD_TABLE
from cloudlet.errors import EngineFailed

#: backends (2) and servers (4) of all proxies
COMMAND = "show stat -1 6 -1"
HELD_COMMAND = f"show table {HOLD_TABLE}"
_BACKEND, _SERVER = "1", "2"
_STATES = {
    "UP": ServerState.UP,
    "no": ServerState.UP,  # "no check"
    "NOLB": ServerState.DRAINING,
    "DRAIN": ServerState.DRAINING,
    "MAINT": ServerState.MAINTENANCE,
}
#: kinds of answers that end a request
_FINAL = ("2xx", "3xx", "4xx", "5xx", "other")
#: backends of our own that nobody asked for


class Row:
    """One line by column name; a column without a value counts as 0."""

    __slots__ = ("_columns", "_values")

    def __init__(self, columns: Mapping[str, int], values: list[str]) -> None:
        self._columns, self._values = columns, values

    def text(self, name: str) -> str:
        return self._values[self._columns[name]]

    def number(self, name: str) -> int:
        return int(self._values[self._columns[name]] or 0)


def parse(answer: str) -> tuple[BackendStatistics, ...]:
    """Raises EngineFailed for what is no table of statistics."""
    lines = answer.strip().splitlines()
    if not lines or not lines[0].startswith("# "):
        raise EngineFailed(f"haproxy answered `{COMMAND}` with {answer[:80]!r}, which is no table")
    columns = {name: place for place, name in enumerate(lines[0].removeprefix("# ").split(","))}
    servers: dict[str, list[ServerStatistics]] = {}
    backends = []
    for line in lines[1:]:
        row = Row(columns, next(csv.reader([line])) if '"' in line else line.split(","))
        name = row.text("pxname")
        if is_internal(name):
            continue
        if row.text("type") == _SERVER:
            servers.setdefault(name, []).append(_server(row))
        elif row.text("type") == _BACKEND:
            backends.append(_backend(row, tuple(servers.pop(name, ()))))
    return tuple(backends)


def _backend(row: Row, servers: tuple[ServerStatistics, ...]) -> BackendStatistics:
    return BackendStatistics(
        name=row.text("pxname"),
        sessions=row.number("scur"),
        queued=row.number("qcur") + sum(server.queued for server in servers),
        requests=row.number("stot"),
        rate=row.number("rate"),
        responses_4xx=row.number("hrsp_4xx"),
        responses_5xx=row.number("hrsp_5xx"),
        response_time=row.number("rtime") / 1000,
        servers=servers,
    )


def _server(row: Row) -> ServerStatistics:
    return ServerStatistics(
        backend=row.text("pxname"),
        name=row.text("svname"),
        state=server_state(row.text("status")),
        weight=row.number("uweight"),
        sessions=row.number("scur"),
        queued=row.number("qcur"),
        requests=row.number("stot"),
        connection_errors=row.number("econ"),
        response_errors=row.number("eresp"),
        responses_5xx=row.number("hrsp_5xx"),
        retries=row.number("wretr"),
        redispatches=row.number("wredis"),
        response_time=row.number("rtime") / 1000,
        check=_check(row),
        bytes_in=row.number("bin"),
        bytes_out=row.number("bout"),
        responses=sum(row.number(f"hrsp_{kind}") for kind in _FINAL),
    )


def server_state(status: str) -> ServerState:
    """`UP`, `UP 1/3`, `DOWN (agent)`, `MAINT (via b/s)`, `no check`: the first word says it."""
    return _STATES.get(status.partition(" ")[0], ServerState.DOWN)


def _check(row: Row) -> str:
    status, code = row.text("check_status"), row.text("check_code")
    status = status.removeprefix("* ")  # a check is under way; this is the one before
    return f"{status}/{code}" if code and status else status


_HELD = re.compile(r" key=(\S+) .*\bconn_cur=(\d+)")


def with_held(backends: tuple[BackendStatistics, ...], answer: str) -> tuple[BackendStatistics, ...]:
    """Count requests that the edge holds as queued. The table counts a request until it ends, so it means those
    held only while no server is up."""
    held = {name: int(count) for name, count in _HELD.findall(answer)}
    if not any(held.values()):
        return backends
    return tuple(
        backend
        if any(server.state is ServerState.UP for server in backend.servers)
        else replace(backend, queued=backend.queued + held.get(backend.name, 0))
        for backend in backends
    )


def with_sessions(
    backends: tuple[BackendStatistics, ...], earlier: Mapping[tuple[str, str], int]
) -> tuple[BackendStatistics, ...]:
    """Add the sessions that processes since succeeded still have, by backend and server."""
    if not any(earlier.values()):
        return backends
    return tuple(_with_sessions(backend, earlier) for backend in backends)


def _with_sessions(backend: BackendStatistics, earlier: Mapping[tuple[str, str], int]) -> BackendStatistics:
    servers = tuple(
        replace(server, sessions=server.sessions + earlier.get((backend.name, server.name), 0))
        for server in backend.servers
    )
    return replace(backend, servers=servers)
