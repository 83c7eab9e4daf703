"""What came of a load. Every request ends in exactly one count: `sent == ok + failed`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cloudlet.load.histogram import Histogram

#: distinct values of a header counted apart; any more share one count
_MOST_VALUES = 1000
#: the kinds of failure beside `status NNN`
CONNECT, RESET, REUSED_CLOSED = "connect", "reset", "reused-closed"
TIMEOUT, PROTOCOL = "timeout", "protocol"


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds, of every answered request whatever its status, and of those that timed out as long as they
    waited."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    mean: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How it goes: counts so far, `rate` the answers per second since the last report; times in seconds."""

    elapsed: float
    sent: int
    ok: int
    failed: int
    outstanding: int
    rate: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Report:
    """How it went; times in seconds.

    `failures` counts by kind: `connect` (refused or unreachable), `reset` (closed before the answer was
    whole), `reused-closed` (a kept connection closed before the answer's first byte, as may happen to any
    client when the server's patience ends just then), `timeout`, `protocol` (not HTTP) and `status NNN`.
    `retried` requests were sent a second time, and count as what came of that; `reused_closed` counts such
    closings, retried or not. `max_gap` is the longest time without a success. `lag` is how late the
    generator itself was at worst: near zero, or its figures speak of this machine rather than of the
    server.
    """

    sent: int
    ok: int
    failures: dict[str, int]
    retried: int
    reused_closed: int
    elapsed: float
    throughput: float
    latency: Latency
    statuses: dict[int, int]
    by_header: dict[str, int]
    max_gap: float
    lag: float
    connections: int

    @property
    def failed(self) -> int:
        return sum(self.failures.values())


@dataclass(slots=True)
class Tally:
    """The counts while the load runs, in time.monotonic() seconds."""

    started: float
    sent: int = 0
    ok: int = 0
    retried: int = 0
    reused_closed: int = 0
    connections: int = 0
    lag: float = 0.0
    max_gap: float = 0.0
    last_ok: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    latencies: Histogram = field(default_factory=Histogram)

    def __post_init__(self) -> None:
        self.last_ok = self.started

    def succeed(self, now: float) -> None:
        self.ok += 1
        gap = now - self.last_ok
        if gap > self.max_gap:
            self.max_gap = gap
        self.last_ok = now

    def value(self, value: str) -> None:
        """Count an answer by its header's value."""
        known = value in self.values or len(self.values) < _MOST_VALUES
        self.values[value if known else "(others)"] += 1

    @property
    def answered(self) -> int:
        return self.statuses.total()

    def progress(self, now: float, outstanding: int, rate: float) -> Progress:
        return Progress(
            elapsed=now - self.started,
            sent=self.sent,
            ok=self.ok,
            failed=self.failures.total(),
            outstanding=outstanding,
            rate=rate,
            p50=self.latencies.percentile(50),
            p99=self.latencies.percentile(99),
        )

    def report(self, now: float) -> Report:
        elapsed = now - self.started
        return Report(
            sent=self.sent,
            ok=self.ok,
            failures=dict(self.failures.most_common()),
            retried=self.retried,
            reused_closed=self.reused_closed,
            elapsed=elapsed,
            throughput=self.answered / elapsed if elapsed else 0.0,
            latency=self._latency(),
            statuses=dict(sorted(self.statuses.items())),
            by_header=dict(sorted(self.values.items())),
            max_gap=max(self.max_gap, now - self.last_ok),
            lag=self.lag,
            connections=self.connections,
        )

    def _latency(self) -> Latency:
        at = self.latencies.percentile
        return Latency(at(50), at(90), at(99), at(99.9), self.latencies.maximum, self.latencies.mean)
