"""The clients: who sends which request on which connection, and what becomes of it.

Every job is in one place: on a connection (opening or open), or in `_waiting` until one is free. It leaves
through `_leave`, once, whatever happened; that is what makes the counts exact.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections import deque
from collections.abc import Callable

from cloudlet.load.arrivals import interleaved
from cloudlet.load.connection import Connection, Job
from cloudlet.load.plan import IDEMPOTENT, LoadPlan
from cloudlet.load.report import CONNECT, PROTOCOL, REUSED_CLOSED, TIMEOUT, Tally

_clock = time.monotonic
#: seconds a closed loop's client rests after a refusal, or it would count how fast a machine can refuse
_REST_AFTER_REFUSAL = 0.02


class Driver:
    """Takes due requests by `submit`, holds at most `limit` connections to `address`.

    `more` is asked, when a connection becomes free, whether its client has another request at once (a
    closed loop).
    """

    def __init__(self, plan: LoadPlan, address: str, limit: int, tls: ssl.SSLContext | None) -> None:
        self._plan, self._limit, self._tls = plan, limit, tls
        self._place, self._address = plan.place(), address
        self._by_header = plan.by_header.lower().encode() if plan.by_header else None
        self._expect = plan.expect
        kinds = plan.kinds()
        wires = [plan.render(kind, number) for number, kind in enumerate(kinds)]
        order = interleaved([kind.weight for kind in kinds])
        self._kinds = itertools.cycle([(*wires[i], kinds[i].method) for i in order])
        self._number_header = plan.number_header.encode() if plan.number_header else None
        self._waiting: deque[Job] = deque()
        self._idle: list[Connection] = []
        self._connections: dict[Connection, asyncio.Task[None] | None] = {}
        self._loop = asyncio.get_running_loop()
        self.more: Callable[[], bool] = lambda: False
        self.outstanding = 0
        self.tally = Tally(_clock())
        #: called whenever a request has ended
        self.on_end: Callable[[], None] = lambda: None

    def submit(self, due: float) -> None:
        """Make the next request, due at `due`, and send it as soon as a connection is free."""
        head, tail, method = next(self._kinds)
        self.tally.sent += 1
        self.outstanding += 1
        if self._number_header is not None:
            head += b"%s: %d\r\n" % (self._number_header, self.tally.sent)
        self._place_job(Job(due, head + tail, method in IDEMPOTENT, method == "HEAD"))

    def _place_job(self, job: Job) -> None:
        if self._idle:
            self._idle.pop().send(job)
        elif len(self._connections) < self._limit:
            self._open(job)
        else:
            self._waiting.append(job)

    def _open(self, job: Job) -> None:
        connection = Connection(self, self._by_header)
        connection.job = job
        self._connections[connection] = self._loop.create_task(self._connect(connection))

    async def _connect(self, connection: Connection) -> None:
        host = self._place.host if self._tls else None
        try:
            await self._loop.create_connection(
                lambda: connection, self._address, self._place.port, ssl=self._tls, server_hostname=host
            )
        except OSError:
            job, connection.job = connection.job, None
            connection.reusable = False
            if job is not None:
                self.broken(connection, job, CONNECT, reached=False)
        else:
            self.tally.connections += 1
            if connection in self._connections:
                self._connections[connection] = None

    def answered(self, connection: Connection, job: Job, status: int, value: str | None) -> None:
        now = _clock()
        tally = self.tally
        tally.statuses[status] += 1
        tally.latencies.record(now - job.due)
        if value is not None:
            tally.value(value)
        for low, high in self._expect:
            if low <= status <= high:
                tally.succeed(now)
                break
        else:
            tally.failures[f"status {status}"] += 1
        self._end(connection, now)

    def broken(self, connection: Connection, job: Job, kind: str, *, reached: bool) -> None:
        if kind == REUSED_CLOSED:
            self.tally.reused_closed += 1
        safe = kind != PROTOCOL and (job.idempotent or not reached)
        if self._plan.retry and safe and not job.retried:
            job.retried = True
            self.tally.retried += 1
            self._connections.pop(connection, None)
            self._open(job)
            return
        self.tally.failures[kind] += 1
        if kind == CONNECT and self._plan.concurrency is not None:
            self._loop.call_later(_REST_AFTER_REFUSAL, self._end, connection, None)
        else:
            self._end(connection, None)

    def idle_closed(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)

    def _end(self, connection: Connection, now: float | None) -> None:
        """The request of a connection has ended; who waits gets the connection, or one in its place."""
        reusable = connection.reusable
        if not reusable:
            self._connections.pop(connection, None)
        if self._waiting:
            job = self._waiting.popleft()
            connection.send(job) if reusable else self._open(job)
        elif reusable:
            self._idle.append(connection)
        self._leave(now)

    def _leave(self, now: float | None) -> None:
        self.outstanding -= 1
        if self.more():
            self.submit(now or _clock())
        self.on_end()

    def expire(self) -> None:
        """Fail every request that has waited longer than the timeout, wherever it is."""
        now = _clock()
        before = now - self._plan.timeout
        while self._waiting and self._waiting[0].due <= before:
            self._time_out(self._waiting.popleft(), now)
            self._leave(now)
        for connection in [c for c in self._connections if c.job is not None and c.job.due <= before]:
            job = connection.job
            assert job is not None, "chosen for its job"
            self._drop(connection)
            self._time_out(job, now)
            self._end(connection, now)

    def _time_out(self, job: Job, now: float) -> None:
        self.tally.failures[TIMEOUT] += 1
        self.tally.latencies.record(now - job.due)

    def _drop(self, connection: Connection) -> None:
        opening = self._connections.pop(connection, None)
        connection.abandon()
        if opening is not None:
            opening.cancel()

    async def close(self) -> None:
        """Close every connection; requests still on one are forgotten."""
        opening = [task for task in self._connections.values() if task is not None]
        for connection in list(self._connections):
            self._drop(connection)
        await asyncio.gather(*opening, return_exceptions=True)
