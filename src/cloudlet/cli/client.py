"""The control API as the command line uses it: HTTP over the stack's Unix socket, blocking."""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from cloudlet import errors
from cloudlet.cli.decoding import decode
from cloudlet.contracts.limits import LimitUsage
from cloudlet.control.views import Event, IssuedKey, KeyStatus, PlanView, RouteStatus, ServiceStatus, StackStatus
from cloudlet.errors import CloudletError, InternalError, NotRunning, Problem, Refused, StackError

#: seconds until an answer begins; applying a file may provision things first
_TIMEOUT = 60.0
#: struct ucred of unix(7): process, user, group
_CREDENTIALS = struct.Struct("3i")
Query = Mapping[str, str | int | Sequence[str]]


class ControlClient:
    """Each call is one connection. Raises NotRunning when nobody answers, and whatever the daemon raised."""

    def __init__(self, path: Path, file: Path) -> None:
        self._path, self._file = path, file

    def version(self) -> dict[str, Any] | None:
        """Who answers: version, process id and stack; None when nobody does."""
        try:
            answer = self._get("/v1/version")
        except NotRunning:
            return None
        return dict(answer)

    def status(self) -> StackStatus:
        return decode(StackStatus, self._get("/v1/status"))

    def plan(self, text: str) -> PlanView:
        return decode(PlanView, self._post("/v1/plan", {"text": text, "file": str(self._file.resolve())}))

    def apply(self, text: str, *, yes: bool) -> PlanView:
        body = {"text": text, "file": str(self._file.resolve()), "yes": yes}
        return decode(PlanView, self._post("/v1/apply", body))

    def scale(self, counts: Mapping[str, int]) -> list[ServiceStatus]:
        answer = self._post("/v1/scale", {"services": dict(counts)})
        return [decode(ServiceStatus, service) for service in answer["services"]]

    def restart(self, services: Sequence[str]) -> list[str]:
        return list(self._post("/v1/restart", {"services": list(services)})["restarting"])

    def down(self) -> None:
        self._post("/v1/down", {})

    def last_event(self) -> int:
        """The number of the journal's newest entry."""
        entries = self._get("/v1/events")
        return int(entries[-1]["id"]) if entries else 0

    def follow_events(self, since: int) -> Iterator[Event]:
        """Entries after that number, as they come, until the daemon ends."""
        for row in self._stream("/v1/events", {"since": since, "follow": 1}):
            yield decode(Event, row)

    def logs(self, query: Query) -> list[dict[str, Any]]:
        return list(self._get("/v1/logs", query))

    def follow_logs(self, query: Query) -> Iterator[dict[str, Any]]:
        return self._stream("/v1/logs", {**query, "follow": 1})

    def audit(self, query: Query) -> list[dict[str, Any]]:
        return list(self._get("/v1/audit", query))

    def follow_audit(self, query: Query) -> Iterator[dict[str, Any]]:
        return self._stream("/v1/audit", {**query, "follow": 1})

    def keys(self) -> list[KeyStatus]:
        return [decode(KeyStatus, key) for key in self._get("/v1/keys")["keys"]]

    def issue_key(self, user: str, roles: Sequence[str], scopes: Sequence[str], lifetime: float | None) -> IssuedKey:
        """`lifetime` in seconds, None for a key without an end."""
        body = {"user": user, "roles": list(roles), "scopes": list(scopes), "lifetime": lifetime}
        return decode(IssuedKey, self._post("/v1/keys", body))

    def rotate_key(self, key_id: str, overlap: float) -> IssuedKey:
        return decode(IssuedKey, self._post(f"/v1/keys/{quote(key_id, safe='')}/rotate", {"overlap": overlap}))

    def revoke_key(self, key_id: str) -> None:
        self._post(f"/v1/keys/{quote(key_id, safe='')}/revoke", {})

    def limits(self, above: float) -> list[LimitUsage]:
        """Whoever has used at least this share of a limit."""
        return [decode(LimitUsage, usage) for usage in self._get(f"/v1/limits?above={above:g}")["limits"]]

    def routes(self) -> list[RouteStatus]:
        return [decode(RouteStatus, route) for route in self._get("/v1/routes")["routes"]]

    def config(self) -> str:
        connection, answer = self._request("GET", "/v1/config")
        with connection:
            return answer.read().decode()

    def _get(self, path: str, query: Query | None = None) -> Any:
        return self._json("GET", path + _encode(query or {}))

    def _post(self, path: str, body: object) -> Any:
        return self._json("POST", path, json.dumps(body).encode())

    def _json(self, method: str, target: str, body: bytes | None = None) -> Any:
        connection, answer = self._request(method, target, body)
        with connection:
            try:
                return json.loads(answer.read())
            except (ValueError, OSError, http.client.HTTPException) as error:
                raise self._lost(error) from error

    def _stream(self, path: str, query: Query) -> Iterator[dict[str, Any]]:
        connection, answer = self._request("GET", path + _encode(query))
        with connection:
            if connection.sock is not None:
                connection.sock.settimeout(None)
            try:
                while line := answer.readline():
                    yield json.loads(line)
            except (ValueError, OSError, http.client.HTTPException):
                return  # the daemon ended within a line

    def _not_running(self) -> NotRunning:
        if self._path.with_name("keeper.sock").exists():
            return NotRunning(
                f"no cloudlet looks after {self._file} at the moment, though what it started may go on;"
                f" `cloudlet up` takes it over, `cloudlet down` ends it"
            )
        return NotRunning(f"no stack runs for {self._file}; start it with `cloudlet up`, or name its file with -f")

    def _request(
        self, method: str, target: str, body: bytes | None = None
    ) -> tuple[_UnixConnection, http.client.HTTPResponse]:
        connection = _UnixConnection(self._path)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise self._not_running() from error
        except PermissionError as error:
            raise Refused(f"{self._path} belongs to another user; run cloudlet as that user") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._lost(error) from error
        if answer.status >= 400:
            with connection:
                raise _error(answer.status, answer.read())
        return connection, answer

    def _lost(self, error: Exception) -> NotRunning:
        return NotRunning(f"the daemon at {self._path} went away or is stuck ({error}); see .cloudlet/logs")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("cloudlet", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
        try:
            self._recognise()
        except Refused:
            self.close()
            raise

    def _recognise(self) -> None:
        """Nothing is said to a stranger: in /tmp, where the sockets of a long path are, anybody may make one."""
        credentials = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(credentials)
        if user not in (os.geteuid(), 0):
            raise Refused(
                f"{self._path} is answered by user {user}, not by this one ({os.geteuid()}); nothing was sent:"
                " run cloudlet as that user, or remove the socket"
            )

    def __enter__(self) -> _UnixConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _encode(query: Query) -> str:
    return "?" + urlencode(query, doseq=True) if query else ""


def _error(status: int, body: bytes) -> CloudletError:
    """What the daemon raised, as the same exception here."""
    try:
        said = json.loads(body)
        message, kind = str(said["error"]), str(said["kind"])
    except (ValueError, KeyError, TypeError):
        return InternalError(f"the daemon answered {status}: {body[:200].decode(errors='replace')}")
    if "problems" in said:
        return StackError([Problem(**problem) for problem in said["problems"]])
    known = getattr(errors, kind, CloudletError)
    if not (isinstance(known, type) and issubclass(known, CloudletError)) or known is StackError:
        known = CloudletError
    return known(message)
