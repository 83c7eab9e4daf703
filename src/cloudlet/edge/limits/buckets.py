"""Token-bucket and leaky-bucket in stick tables: the time at which the backlog will be gone is kept as `base` (gpt)
plus one interval for each request counted (gpc), modulo 2^32 ticks.

Counting is one atomic step. Only `base` is written: when the backlog has long gone it is moved up to now, which two
threads at once do to the same value, because each takes the count from before it reads `base`. A tick is a fraction of
the interval that needs no rounding: N ticks are one interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from cloudlet.edge.limits.keys import key
from cloudlet.edge.limits.plan import Slot
from cloudlet.policy.limits.decision import SECOND

#: what times in µs count from: 64 bits must hold them times N
EPOCH = 1_700_000_000
CLOCK = f"date(-{EPOCH * SECOND},us)"
_NOW = "var(txn.limit_clock)"
_WRAP, _HALF = 1 << 32, 1 << 31
#: what a time since EPOCH may be multiplied by until the year 2040
_GREATEST = 16_000


@dataclass(frozen=True, slots=True)
class Ticks:
    """`interval` ticks pass between two requests; a time in µs × `up` / `down` is one in ticks."""

    interval: int
    up: int
    down: int

    def of(self, variable: str, scale: int = 1000) -> str:
        """Ticks in a variable → units of `scale` µs, rounded up. What it multiplies by fits 31 bits, as ticks do."""
        exact = Fraction(self.down, self.up * scale)
        most = int(_HALF / exact)
        below = exact.denominator if exact.numerator < _HALF else max(1, most)
        above = math.ceil(exact * below)
        return f"{variable},mul({above}),add({below - 1}),div({below})"


def ticks(slot: Slot) -> Ticks:
    """As fine as 32 bits for the whole bucket and 64 for the product allow. A rate whose interval is no simple fraction
    of a microsecond is rounded to whole nanoseconds of it, at most 0.005 %."""
    quota = slot.quota
    p, q = quota.pace
    if p > 1000:
        p, q = 1000, round(Fraction(q, p) * 1000)
    # what an entry's time can lie behind by or ahead of now, in intervals
    span = 2 * slot.holds + Fraction(2 * SECOND * p, q) + 2
    finest = min(_GREATEST // p, int(_HALF // span))
    interval = max(2, finest)
    pace = Fraction(interval * p, q)
    return Ticks(interval, pace.numerator, pace.denominator)


def look(slot: Slot, counter: int, gate: str) -> list[str]:
    """Sets used, free and reset, and retry where nothing is free."""
    n, tick = slot.number, ticks(slot)
    step, most = tick.interval, (slot.holds - 1) * tick.interval
    when = f" if {gate}" if gate else ""
    also = f"{gate} " if gate else ""
    idle = f" if {also}{{ var(txn.backlog_{n}) -m int ge {_HALF} }} || {also}{{ var(txn.used_{n}) -m int eq 0 }}"
    none = f" if {also}{{ var(txn.free_{n}) -m int lt 1 }}"
    backlog = f"var(txn.backlog_{n})"
    lines = [
        f"set-var-fmt(txn.key_{n}) {key(slot)}{when}",
        f"track-sc{counter} var(txn.key_{n}) table {slot.table}{when}",
        f"set-var(txn.tick_{n}) {_NOW},mul({tick.up}),div({tick.down}),mod({_WRAP}){when}",
        f"set-var(txn.used_{n}) sc_get_gpc(0,{counter}){when}",
        f"set-var(txn.base_{n}) sc_get_gpt(0,{counter}){when}",
        f"set-var(txn.backlog_{n}) var(txn.used_{n}),mul({step}),add(txn.base_{n}),sub(txn.tick_{n}),add({_WRAP}),"
        f"mod({_WRAP}){when}",
        "# the backlog has gone, or never was: from now on",
        f"sc-set-gpt(0,{counter}) var(txn.used_{n}),mul(-{step}),add(txn.tick_{n}){idle}",
        f"set-var(txn.backlog_{n}) int(0){idle}",
        f"set-var(txn.free_{n}) int({slot.holds * step}),sub(txn.backlog_{n}),div({step}){when}",
        f"set-var(txn.reset_{n}) {tick.of(f'{backlog},add({step})')}{when}",
        f"set-var(txn.retry_{n}) {tick.of(f'{backlog},sub({most})')}{none}",
        f"set-var(txn.reset_{n}) {tick.of(backlog)}{none}",
    ]
    return [line if line.startswith("#") else f"http-request {line}" for line in lines]


def wait(slot: Slot, gate: str) -> list[str]:
    """When the request, counted by now, leaves the queue: one interval after the one before it. Those that came between
    look and count stand before it."""
    n, tick = slot.number, ticks(slot)
    before = f"var(txn.count_{n}),sub(txn.used_{n}),sub(1),mul({tick.interval}),add(txn.backlog_{n})"
    also = f"{gate} " if gate else ""
    # in µs: ms would be too coarse for a fast queue
    return [
        f"http-request set-var(txn.delay_{n}) {tick.of(before, 1)} if {also}!limit-refused",
        f"http-request set-var(txn.limit_until) var(txn.delay_{n}),add(txn.limit_clock)"
        f" if {{ var(txn.delay_{n}) -m int gt 0 }}",
    ]


def expiry(slot: Slot) -> int:
    """Milliseconds after which an entry's backlog has surely gone."""
    p, q = slot.quota.pace
    return -(-slot.holds * q // (p * 1000)) + 1000
