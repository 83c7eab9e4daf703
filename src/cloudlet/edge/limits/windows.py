"""Fixed-window and sliding-counter in stick tables: an entry for each window, whose number is part of its key.

`sc_inc_gpc` counts and reads in one atomic step, so that threads lose no request and let none too many pass. Why not
HAProxy's own rates (`http_req_rate`, `gpc_rate`): they too weigh the previous window (freq_ctr.h), but round down to
whole requests, correct low rates upwards, begin each client's windows when it first comes, and cannot say when they
end, which Retry-After and Reset must.
"""

from __future__ import annotations

from cloudlet.edge.limits.keys import key
from cloudlet.edge.limits.plan import Slot

_NOW = "var(txn.limit_now)"


def look(slot: Slot, counter: int, gate: str) -> list[str]:
    """Sets used, free and reset, and retry where nothing is free."""
    n, window = slot.number, round(slot.limit.rate.per * 1000)
    lines = [
        f"set-var(txn.window_{n}) {_NOW},div({window})",
        f"set-var-fmt(txn.key_{n}) {key(slot, f'%[var(txn.window_{n})]')}",
        f"track-sc{counter} var(txn.key_{n}) table {slot.table}",
        f"set-var(txn.used_{n}) sc_get_gpc(0,{counter})",
        f"set-var(txn.left_{n}) {_NOW},mod({window}),neg,add({window})",
        *(_sliding(slot, window) if slot.limit.algorithm == "sliding-counter" else _fixed(slot)),
    ]
    return [f"http-request {_gated(line, gate)}" for line in lines]


def _gated(line: str, gate: str) -> str:
    """A line may have a condition of its own."""
    action, found, condition = line.partition(" if ")
    both = " ".join(part for part in (gate, condition) if part)
    return f"{action} if {both}" if both or found else action


def _fixed(slot: Slot) -> list[str]:
    n = slot.number
    return [
        f"set-var(txn.free_{n}) int({slot.holds}),sub(txn.used_{n})",
        f"set-var(txn.reset_{n}) var(txn.left_{n})",
        f"set-var(txn.retry_{n}) var(txn.left_{n}) if {{ var(txn.free_{n}) -m int lt 1 }}",
    ]


def _sliding(slot: Slot, window: int) -> list[str]:
    """Decided in requests × milliseconds, as policy/limits/sliding_counter.py does."""
    n, limit = slot.number, slot.holds
    none = f"{{ var(txn.free_{n}) -m int lt 1 }}"
    return [
        f"set-var-fmt(txn.before_{n}) {key(slot, f'%[var(txn.window_{n}),sub(1)]')}",
        f"set-var(txn.previous_{n}) var(txn.before_{n}),table_gpc(0,{slot.table})",
        f"set-var(txn.free_{n}) var(txn.previous_{n}),mul(txn.left_{n}),neg,add({limit * window}),div({window}),"
        f"sub(txn.used_{n})",
        f"set-var(txn.reset_{n}) var(txn.left_{n}),add({window})",
        f"set-var(txn.retry_{n}) int({limit - 1}),sub(txn.used_{n}),mul({window}),div(txn.previous_{n}),neg,"
        f"add(txn.left_{n}) if {none} {{ var(txn.used_{n}) -m int lt {limit} }}",
        f"set-var(txn.retry_{n}) int({window - 1}),add(txn.used_{n}),div(txn.used_{n}),add(txn.left_{n})"
        f" if {none} {{ var(txn.used_{n}) -m int ge {limit} }}",
        f"set-var(txn.reset_{n}) var(txn.left_{n}) if {none} {{ var(txn.used_{n}) -m int eq 0 }}",
    ]


def expiry(slot: Slot) -> int:
    """Milliseconds from its last request on for which an entry counts."""
    windows = 2 if slot.limit.algorithm == "sliding-counter" else 1
    return windows * round(slot.limit.rate.per * 1000) + 1000
