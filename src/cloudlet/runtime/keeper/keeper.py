"""The keeper's parts, put together, and the table of what it can be asked."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudlet
from cloudlet.runtime.keeper.adoption import adopt
from cloudlet.runtime.keeper.errors import Refused
from cloudlet.runtime.keeper.loop import Loop
from cloudlet.runtime.keeper.processes import Processes
from cloudlet.runtime.keeper.protocol import PROTOCOL
from cloudlet.runtime.keeper.record import Spec
from cloudlet.runtime.keeper.server import Connection, Server
from cloudlet.runtime.keeper.sockets import Sockets
from cloudlet.runtime.keeper.store import Store

#: seconds after which a keeper that keeps nothing and that nobody talks to ends
_IDLE_AFTER = 60.0

Request = dict[str, Any]


class Keeper:
    """One state's keeper; `files` is RLIMIT_NOFILE as processes are to have it."""

    def __init__(self, root: Path, run: Path, files: tuple[int, int]) -> None:
        self._loop = Loop()
        self._socket = run / "keeper.sock"
        self._store = Store(self._loop, root / "keeper.json")
        self._sockets = Sockets(self._store.state)
        self._server = Server(self._loop, self._handle, self._controllers)
        self._processes = Processes(self._loop, self._store, self._sockets, run, files, self._exited)
        self._closing = False
        self._operations: dict[str, Callable[[Request], Any]] = {
            "ping": self._ping,
            "start": self._start,
            "stop": lambda request: self._processes.stop(request["name"], request["grace"]),
            "signal": lambda request: self._processes.signal(request["name"], request["number"]),
            "confirm": lambda request: self._processes.confirm(request["name"]),
            "forget": lambda request: self._processes.forget(request["name"]),
            "limit": self._limit,
            "processes": self._list,
            "listen": self._listen,
            "release": self._release,
            "sockets": lambda _: list(self._store.state.sockets.values()),
            "shutdown": self._shutdown,
        }
        adopt(self._store.state, self._processes, self._sockets, run)
        self._store.save()

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until told to end. SIGTERM ends the keeper alone, as SIGKILL does: what it keeps goes on."""
        self._loop.on_signal(signal.SIGCHLD, self._processes.endings.reap)
        self._processes.endings.reap()  # whoever was started by adopting, and ended already
        self._loop.on_signal(signal.SIGTERM, self._loop.stop)
        self._controllers(False)
        self._server.open(self._socket)
        self._loop.later(_IDLE_AFTER, self._end_when_idle)
        ready()
        self._loop.run()

    def _handle(self, connection: Connection, request: Request) -> Any:
        operation = request["op"]
        if operation == "attach":
            self._server.attach(connection)
            return None
        if operation not in self._operations:
            raise Refused(f"this keeper (cloudlet {cloudlet.__version__}) does not know {operation!r}")
        return self._operations[operation](request)

    def _controllers(self, present: bool) -> None:
        if present:
            self._processes.controller_came()
        elif not self._closing:
            self._processes.controller_left()

    def _exited(self, end: dict[str, Any]) -> None:
        self._server.tell(end)
        self._end_when_closed()

    def _ping(self, _: Request) -> Any:
        return {"version": cloudlet.__version__, "protocol": PROTOCOL, "pid": os.getpid()}

    def _start(self, request: Request) -> Any:
        if self._closing:
            raise Refused("the keeper is ending and starts nothing more")
        return self._processes.start(Spec.parse(request["spec"]), request["token"]).wire()

    def _limit(self, request: Request) -> Any:
        return self._processes.limit(request["name"], request["cpu"], request["memory"]).wire()

    def _list(self, _: Request) -> Any:
        return [record.wire() for record in self._store.state.processes.values() if record.pid is not None]

    def _listen(self, request: Request) -> Any:
        record, new = self._sockets.listen(
            request["name"], request["host"], request["port"], datagram=request["datagram"]
        )
        if new:
            self._store.save()
        return record

    def _release(self, request: Request) -> None:
        if self._sockets.release(request["name"]):
            self._store.save()

    def _shutdown(self, request: Request) -> None:
        running = ", ".join(self._processes.lives)
        if running and not request["force"]:
            raise Refused(f"the keeper still has {running}; stop them first")
        self._closing = True
        self._processes.stop_all()
        self._end_when_closed()

    def _end_when_closed(self) -> None:
        if self._closing and not self._processes.lives:
            self._store.remove()
            self._end()

    def _end_when_idle(self) -> None:
        if self._processes.idle and not self._server.connections and not self._store.state.sockets:
            self._end()
        else:
            self._loop.later(_IDLE_AFTER, self._end_when_idle)

    def _end(self) -> None:
        self._socket.unlink(missing_ok=True)
        self._loop.stop()
