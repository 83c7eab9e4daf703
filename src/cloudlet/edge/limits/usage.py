"""How much of each limit is used up, read out of the counters by the twins of policy/limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cloudlet.contracts.limits import LimitUsage
from cloudlet.edge.limits.buckets import EPOCH, ticks
from cloudlet.edge.limits.plan import Plan, Slot, identifier
from cloudlet.edge.limits.store import prefix
from cloudlet.policy.limits import ALGORITHMS
from cloudlet.policy.limits.bucket import Backlog
from cloudlet.policy.limits.decision import SECOND
from cloudlet.policy.limits.fixed_window import Window
from cloudlet.policy.limits.sliding_counter import Counter
from cloudlet.policy.limits.sliding_log import Log

_ENTRY = re.compile(r" key=(.*) use=\d+ exp=\d+ .*?(?:gpt0=(\d+) )?gpc0=(\d+)$", re.MULTILINE)
_ESCAPED = re.compile(r"\\(x[0-9a-f]{2}|.)")
_WRAP, _HALF = 1 << 32, 1 << 31
#: of a hash, as much as tells two apart when people look
_SHOWN_OF_HASH = 12


def in_table(made: Plan, slot: Slot, answer: str, now: int) -> Iterator[LimitUsage]:
    """From what HAProxy answers to `show table`. `now` is Unix time in µs."""
    entries = [(_plain(key), int(tag or 0), int(count)) for key, tag, count in _ENTRY.findall(answer)]
    states = _backlogs(slot, entries, now) if slot.is_bucket else _windows(slot, entries, now)
    yield from _usages(made, slot, states.items(), now)


def in_store(made: Plan, states: Iterable[tuple[str, str | list[str]]], now: int) -> Iterator[LimitUsage]:
    """From Valkey's keys and what they hold (count.lua): a text, or a list for a log."""
    slots = {prefix(slot): slot for slot in made.slots if slot.stored}
    for key, kept in states:
        start = ":".join(key.split(":", 2)[:2]) + ":"
        if start in slots:
            yield from _usages(made, slots[start], [(key.removeprefix(start), _state(slots[start], kept))], now)


def _state(slot: Slot, kept: str | list[str]) -> Any:
    if isinstance(kept, list):
        return Log(tuple(map(int, kept)))
    numbers = [int(word) for word in kept.split()]
    if slot.is_bucket:
        return Backlog(*numbers)
    return Window(*numbers) if slot.limit.algorithm == "fixed-window" else Counter(*numbers)


def _usages(made: Plan, slot: Slot, states: Iterable[tuple[str, Any]], now: int) -> Iterator[LimitUsage]:
    labels = {identifier(label): label for label in made.labels}
    for key, state in states:
        route, _, who = key.partition(" ")
        decision, _ = ALGORITHMS[slot.limit.algorithm].decide(slot.quota, state, now)
        used = slot.holds - (decision.remaining + 1 if decision.allowed else 0)
        if used > 0:
            yield LimitUsage(
                route=labels.get(route, ""),
                limit=slot.name,
                algorithm=slot.limit.algorithm,
                key=_shown(who),
                used=used,
                quota=slot.holds,
                reset=decision.reset / SECOND,
            )


def _windows(slot: Slot, entries: Iterable[tuple[str, int, int]], now: int) -> Mapping[str, Window | Counter]:
    """The present and the previous window's entries of each key, taken together."""
    present = now // slot.quota.per
    counts: dict[str, dict[int, int]] = {}
    for key, _, count in entries:
        route, number, who = key.split(" ", 2)
        counts.setdefault(f"{route} {who}", {})[int(number)] = count
    if slot.limit.algorithm == "fixed-window":
        return {key: Window(present, found.get(present, 0)) for key, found in counts.items()}
    return {key: Counter(present, found.get(present, 0), found.get(present - 1, 0)) for key, found in counts.items()}


def _backlogs(slot: Slot, entries: Iterable[tuple[str, int, int]], now: int) -> Mapping[str, Backlog]:
    tick, (_, interval) = ticks(slot), slot.quota.pace
    at = (now - EPOCH * SECOND) * tick.up // tick.down
    found = {key: (base + count * tick.interval - at) % _WRAP for key, base, count in entries}
    return {key: Backlog(left * interval // tick.interval if left < _HALF else 0, now) for key, left in found.items()}


def _plain(key: str) -> str:
    """HAProxy escapes what is no letter, digit or the like in a key."""
    return _ESCAPED.sub(lambda m: chr(int(m[1][1:], 16)) if len(m[1]) > 1 else m[1], key)


def _shown(who: str) -> str:
    """Without the letter that says what it is (keys.py); a hash is cut."""
    kind, text = who[:1], who[1:]
    return {"h": f"sha256:{text[:_SHOWN_OF_HASH]}", "g": "everybody"}.get(kind, text)
