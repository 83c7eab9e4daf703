"""Passive checks: a server that fails live traffic is taken out for a while, twice as long each time.

HAProxy's counters give errors and successes since the last look, not their order. A look without any success
adds its errors to the row; e errors among s successes hold a row of at least e / (s + 1), and break the row
before. So nothing is ever ejected that did not fail `after` times in a row.

Invariants, held by tests/policy/test_ejection.py: no more than `at_most` of the servers are out, and one that
is up always stays, so that one poisonous request, which every server fails, cannot empty the backend. When
servers leave and too many are out, the one due first comes back early.

HAProxy's own `observe … error-limit` counts the same way but knows no cap, which is why it is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

#: seconds, the longest that an ejection lasts however often the server was ejected
LONGEST_EJECTION = 300.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Errors in a row that eject, the share that may be out at once, seconds that the first ejection
    lasts."""

    after: int = 5
    at_most: float = 0.5
    first: float = 10.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """One server since the last look: `errors` of the chosen kinds, `successes` all other answers. `up` is
    what the active checks say, ejected or not."""

    name: str
    errors: int = 0
    successes: int = 0
    up: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a server: errors in a row; until when it is out, None while it is in; how long
    its last ejection was meant to last, when it came back from it, and until when it has then served well.
    Seconds on the clock of `now`."""

    row: int = 0
    out_until: float | None = None
    lasted: float = 0.0
    back_at: float = 0.0
    well_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Eject:
    """Give it no traffic until `until`."""

    name: str
    until: float
    because: str


@dataclass(frozen=True, slots=True)
class Restore:
    """Give it traffic again."""

    name: str
    because: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`records` go into the next call, by name of the server; they hold every server of the view."""

    actions: tuple[Eject | Restore, ...] = ()
    records: Mapping[str, Record] = field(default_factory=dict)


def decide(servers: Iterable[Traffic], records: Mapping[str, Record], rule: Rule, now: float) -> Decision:
    """Who goes out and who comes back. A server missing in `servers` is forgotten."""
    seen = tuple(servers)
    kept = {server.name: _counted(server, records.get(server.name, Record()), rule, now) for server in seen}
    restored = [*_expired(kept, now), *_too_many(kept, seen, rule, now)]
    for restore in restored:
        kept[restore.name] = replace(kept[restore.name], row=0, out_until=None, back_at=now, well_at=now)
    ejected = list(_failing(seen, kept, rule, now))
    for eject in ejected:
        kept[eject.name] = Record(out_until=eject.until, lasted=eject.until - now)
    return Decision((*restored, *ejected), kept)


def _counted(server: Traffic, record: Record, rule: Rule, now: float) -> Record:
    if record.out_until is not None:  # what it still fails was sent before it went out
        return replace(record, row=0)
    row = record.row + server.errors if server.successes == 0 else 0
    well = row == 0 and _within(server) < rule.after
    return replace(record, row=row, well_at=now if well else record.well_at)


def _expired(records: Mapping[str, Record], now: float) -> Iterable[Restore]:
    for name, record in records.items():
        if record.out_until is not None and now >= record.out_until:
            yield Restore(name, f"its ejection of {record.lasted:g} s is over")


def _too_many(records: Mapping[str, Record], servers: tuple[Traffic, ...], rule: Rule, now: float) -> Iterable[Restore]:
    """Those to bring back early: too large a share is out now, or nobody who is up is in."""
    up = {server.name for server in servers if server.up}
    out = sorted(
        (record.out_until, name)
        for name, record in records.items()
        if record.out_until is not None and now < record.out_until
    )
    surplus = len(out) - _allowed(len(servers), rule)
    for place, (_, name) in enumerate(out):
        if place < surplus:
            yield Restore(name, f"more than {rule.at_most:.0%} of {len(servers)} servers would be out")
    staying = {name for _, name in out[max(0, surplus) :]}
    if up and up <= staying:
        name = next(name for _, name in out if name in up and name in staying)
        yield Restore(name, "no other server is up")


def _failing(servers: tuple[Traffic, ...], records: Mapping[str, Record], rule: Rule, now: float) -> Iterable[Eject]:
    """The worst first, as long as the cap and the one that must stay allow."""
    inside = [server for server in servers if records[server.name].out_until is None]
    failing = [server for server in inside if _in_a_row(server, records[server.name]) >= rule.after]
    room = _allowed(len(servers), rule) - (len(servers) - len(inside))
    up = sum(server.up for server in inside)
    for server in sorted(failing, key=lambda server: (server.successes, -server.errors, server.name)):
        if room <= 0 or (server.up and up <= 1):
            continue
        room, up = room - 1, up - server.up
        record = records[server.name]
        lasts = _duration(record, rule)
        yield Eject(
            server.name,
            now + lasts,
            f"{_in_a_row(server, record)} errors in a row, {rule.after} eject; out for {lasts:g} s",
        )


def _in_a_row(server: Traffic, record: Record) -> int:
    """A row of errors that there was for certain."""
    return max(record.row, _within(server))


def _within(server: Traffic) -> int:
    return -(-server.errors // (server.successes + 1))


def _duration(record: Record, rule: Rule) -> float:
    """Twice the last time, unless the server then served well for as long as it had been out."""
    if record.lasted == 0.0 or record.well_at - record.back_at >= record.lasted:
        return rule.first
    return max(rule.first, min(LONGEST_EJECTION, 2.0 * record.lasted))


def _allowed(servers: int, rule: Rule) -> int:
    """How many of so many may be out: the share rounded down, and never all."""
    return max(0, min(int(servers * rule.at_most + 1e-9), servers - 1))
