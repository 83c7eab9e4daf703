"""Runs a load from its first request to its last answer."""

from __future__ import annotations

import asyncio
import itertools
import resource
import socket
import ssl
import time
from collections.abc import Callable

import uvloop

from cloudlet.errors import OperatorError
from cloudlet.load.arrivals import fixed, poisson
from cloudlet.load.driver import Driver
from cloudlet.load.plan import LoadPlan
from cloudlet.load.report import Progress, Report
from cloudlet.load.ticker import SHORTEST, Ticker

_clock = time.monotonic
#: seconds between two reports of progress
_PROGRESS_INTERVAL = 0.25
#: descriptors beside the connections: the loop's own, libraries, standard streams
_OTHER_FILES = 64

ProgressListener = Callable[[Progress], None]


def run_blocking(plan: LoadPlan, on_progress: ProgressListener | None = None) -> Report:
    """`run` on an event loop of its own. Raises OperatorError."""
    return uvloop.run(run(plan, on_progress))


async def run(
    plan: LoadPlan, on_progress: ProgressListener | None = None, *, stop: asyncio.Event | None = None
) -> Report:
    """Make the load; it ends by itself (LoadPlan says when), or soon after `stop` is set.

    Raises OperatorError when the host has no IPv4 address, the authority's file is unusable, or the process
    may not open so many connections. That nobody answers is no error but a result.
    """
    limit = plan.concurrency or plan.connections
    if plan.requests is not None:
        limit = min(limit, plan.requests)
    _allow_files(limit)
    driver = Driver(plan, await _resolve(plan), limit, _tls(plan))
    pace = _OpenLoop(driver, plan) if plan.rate is not None else _ClosedLoop(driver, plan)
    reporting = asyncio.create_task(_report_progress(driver, on_progress)) if on_progress else None
    try:
        pace.begin()
        await _until_done(driver, pace, plan, stop)
        return driver.tally.report(_clock())
    finally:
        pace.close()
        if reporting is not None:
            reporting.cancel()
        await driver.close()


class _ClosedLoop:
    """So many clients, each with its next request when the last has ended."""

    def __init__(self, driver: Driver, plan: LoadPlan) -> None:
        self._driver, self._plan = driver, plan
        self._until = driver.tally.started + plan.duration if plan.duration else float("inf")
        self._most = plan.requests or float("inf")
        driver.more = self._more

    def begin(self) -> None:
        for _ in range(self._plan.concurrency or 0):
            if self._more():
                self._driver.submit(_clock())

    def _more(self) -> bool:
        return self._driver.tally.sent < self._most and _clock() < self._until

    @property
    def issuing(self) -> bool:
        return False  # whatever is still to come follows from a request that is outstanding

    def end(self) -> None:
        self._most = 0

    def close(self) -> None:
        self.end()


class _OpenLoop:
    """Requests at their due times, whether or not earlier ones came back."""

    def __init__(self, driver: Driver, plan: LoadPlan) -> None:
        assert plan.rate is not None, "an open loop has a rate"
        self._driver = driver
        offsets = fixed(plan.rate) if plan.arrivals == "fixed" else poisson(plan.rate, plan.seed)
        until = plan.duration if plan.duration is not None else float("inf")
        self._offsets = itertools.takewhile(lambda at: at < until, itertools.islice(offsets, plan.requests))
        self._next: float | None = next(self._offsets, None)
        self._ticker = Ticker(self._submit_due)

    def begin(self) -> None:
        self._submit_due()

    @property
    def issuing(self) -> bool:
        return self._next is not None

    def _submit_due(self) -> None:
        tally, now = self._driver.tally, _clock()
        while self._next is not None and (due := tally.started + self._next) <= now:
            tally.lag = max(tally.lag, now - due)
            self._driver.submit(due)
            self._next = next(self._offsets, None)
        if self._next is not None:
            self._ticker.set(max(tally.started + self._next, now + SHORTEST))
        else:
            self._driver.on_end()

    def end(self) -> None:
        self._next = None

    def close(self) -> None:
        self.end()
        self._ticker.close()


async def _until_done(
    driver: Driver, pace: _OpenLoop | _ClosedLoop, plan: LoadPlan, stop: asyncio.Event | None
) -> None:
    done = asyncio.Event()

    def look() -> None:
        if driver.outstanding == 0 and not pace.issuing:
            done.set()

    driver.on_end = look
    look()
    interval = max(0.005, min(plan.timeout / 20, 0.25))
    while not done.is_set():
        try:
            async with asyncio.timeout(interval):
                await done.wait()
        except TimeoutError:
            driver.expire()
        if stop is not None and stop.is_set():
            pace.end()
            look()


async def _report_progress(driver: Driver, on_progress: ProgressListener) -> None:
    before, answered = _clock(), 0
    while True:
        await asyncio.sleep(_PROGRESS_INTERVAL)
        now, total = _clock(), driver.tally.answered
        on_progress(driver.tally.progress(now, driver.outstanding, (total - answered) / (now - before)))
        before, answered = now, total


async def _resolve(plan: LoadPlan) -> str:
    """The host's first IPv4 address; names under localhost mean loopback (RFC 6761), which not every
    resolver knows."""
    host = plan.place().host
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1"
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OperatorError(f'no IPv4 address is known for "{host}" of {plan.url}: {error}') from error
    return str(found[0][4][0])


def _tls(plan: LoadPlan) -> ssl.SSLContext | None:
    if not plan.place().tls:
        return None
    try:
        context = ssl.create_default_context(cafile=plan.authority)
    except OSError as error:
        raise OperatorError(f"{plan.authority} is no file of certificates: {error}") from error
    if not plan.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _allow_files(connections: int) -> None:
    """Raise the soft limit of open files where needed and allowed. Raises OperatorError."""
    needed = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise OperatorError(f"{connections} connections need {needed} open files, but {hard} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
