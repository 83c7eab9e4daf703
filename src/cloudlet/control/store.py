"""What cloudlet must remember: the desired state and the record of what runs, in SQLite under `.cloudlet/`.

A row is written before what it describes is done, so a cloudlet killed between the two finds the intention and
either the deed or its absence. Commits survive the death of cloudlet at once, and of the machine after the next
checkpoint (`synchronous=normal` in WAL mode); the desired state is checkpointed when it changes.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from cloudlet.control.views import Event
from cloudlet.errors import DependencyError
from cloudlet.identity.keys import Key
from cloudlet.policy.lifecycle import Phase

_SCHEMA = """
create table if not exists desired (
    id integer primary key, at real not null, file text not null, text text not null);
create table if not exists scaled (service text primary key, instances integer not null, at real not null);
create table if not exists instance (name text primary key, record text not null);
create table if not exists uid (name text primary key, uid integer not null);
create table if not exists port (name text primary key, port integer not null);
create table if not exists api_key (hash text primary key, record text not null);
create table if not exists journal (
    id integer primary key autoincrement, at real not null, level text not null,
    subject text not null, event text not null, because text not null);
"""

#: entries kept in the journal; older ones go when it has grown by a tenth
_JOURNAL_KEPT = 20_000
_KEYS = TypeAdapter(Key)


@dataclass(slots=True)
class Instance:
    """The record of one instance. `deaths` are the Unix times of its last unexpected ends, for the backoff."""

    name: str
    service: str
    ordinal: int
    revision: str
    phase: Phase
    since: float
    port: int
    because: str = ""
    pid: int | None = None
    started: float = 0.0
    resume_at: float = 0.0
    replace: bool = False
    restarts: int = 0
    deaths: list[float] = field(default_factory=list)


class Store:
    """One stack's database. All methods are quick enough to be called from the event loop."""

    def __init__(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            self._connection.executescript(f"pragma journal_mode=wal; pragma synchronous=normal; {_SCHEMA}")
        except sqlite3.Error as error:
            raise DependencyError(f"cannot open the state in {path}: {error}; move it away to start afresh") from error

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("begin immediate")
            yield self._connection
            self._connection.execute("commit")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise DependencyError(f"cannot write the state: {error}; is the disk full?") from error

    # desired state

    def desired(self) -> tuple[str, str] | None:
        """The file's path and text as last applied, or None when nothing is wanted."""
        row = self._connection.execute("select file, text from desired order by id desc limit 1").fetchone()
        return (row[0], row[1]) if row and row[0] else None

    def past(self) -> list[tuple[str, str]]:
        """Every file's path and text as ever applied, the newest first."""
        rows = self._connection.execute("select file, text from desired where file <> '' order by id desc")
        return [(file, text) for file, text in rows]

    def desire(self, file: str, text: str) -> None:
        """Record what was asked for, keeping the earlier ones as history; durable on return."""
        with self._transaction() as db:
            db.execute("insert into desired (at, file, text) values (?, ?, ?)", (time.time(), file, text))
        self._connection.execute("pragma wal_checkpoint(full)")

    def clear(self) -> None:
        """The stack is down: nothing is wanted and nothing runs. The history of files, ports and the journal stay."""
        with self._transaction() as db:
            db.execute("insert into desired (at, file, text) values (?, '', '')", (time.time(),))
            db.execute("delete from scaled")
            db.execute("delete from instance")

    def scaled(self) -> dict[str, int]:
        """Counts that a command set, by service."""
        return dict(self._connection.execute("select service, instances from scaled"))

    def scale(self, counts: dict[str, int]) -> None:
        with self._transaction() as db:
            rows = [(service, count, time.time()) for service, count in counts.items()]
            db.executemany("insert or replace into scaled values (?, ?, ?)", rows)

    def unscale(self, services: Iterable[str]) -> None:
        with self._transaction() as db:
            db.executemany("delete from scaled where service = ?", [(service,) for service in services])

    # what runs

    def instances(self) -> list[Instance]:
        rows = self._connection.execute("select record from instance order by rowid").fetchall()
        return [_instance(json.loads(record)) for (record,) in rows]

    def save(self, instance: Instance) -> None:
        with self._transaction() as db:
            record = json.dumps(asdict(instance))
            db.execute(
                "insert into instance values (?, ?) on conflict (name) do update set record = excluded.record",
                (instance.name, record),
            )

    def delete(self, name: str) -> None:
        with self._transaction() as db:
            db.execute("delete from instance where name = ?", (name,))

    def ports(self) -> dict[str, int]:
        """Ports given to engines and internal listeners: stable for as long as the state is kept."""
        return dict(self._connection.execute("select name, port from port"))

    def keep_port(self, name: str, port: int) -> None:
        with self._transaction() as db:
            db.execute("insert or replace into port values (?, ?)", (name, port))

    def uids(self) -> dict[str, int]:
        """User ids given to engines, forwarders and services: the owners of data folders, so never changed."""
        return dict(self._connection.execute("select name, uid from uid"))

    def keep_uid(self, name: str, uid: int) -> None:
        with self._transaction() as db:
            db.execute("insert or replace into uid values (?, ?)", (name, uid))

    # API keys

    def api_keys(self) -> list[Key]:
        """Every hash that is kept, in the order in which they came."""
        rows = self._connection.execute("select record from api_key order by rowid").fetchall()
        return [_KEYS.validate_json(record) for (record,) in rows]

    def save_api_keys(self, keys: Iterable[Key]) -> None:
        """Add them, or put them in the place of the same hash; durable on return."""
        with self._transaction() as db:
            rows = [(key.record.hash, _KEYS.dump_json(key).decode()) for key in keys]
            db.executemany(
                "insert into api_key values (?, ?) on conflict (hash) do update set record = excluded.record", rows
            )
        self._connection.execute("pragma wal_checkpoint(full)")

    def delete_api_keys(self, hashes: Iterable[str]) -> None:
        """Forget them; durable on return."""
        with self._transaction() as db:
            db.executemany("delete from api_key where hash = ?", [(item,) for item in hashes])
        self._connection.execute("pragma wal_checkpoint(full)")

    # the journal

    def write_event(self, level: str, subject: str, event: str, because: str) -> Event:
        at = time.time()
        with self._transaction() as db:
            cursor = db.execute(
                "insert into journal (at, level, subject, event, because) values (?, ?, ?, ?, ?)",
                (at, level, subject, event, because),
            )
            number = cursor.lastrowid or 0
            if number % (_JOURNAL_KEPT // 10) == 0:
                db.execute("delete from journal where id <= ?", (number - _JOURNAL_KEPT,))
        return Event(number, at, level, subject, event, because)

    def events(self, since: int = 0, limit: int = 1000) -> list[Event]:
        """The newest entries after `since`, oldest first."""
        rows = self._connection.execute(
            "select * from (select id, at, level, subject, event, because from journal"
            " where id > ? order by id desc limit ?) order by id",
            (since, limit),
        )
        return [Event(*row) for row in rows]


def _instance(record: dict[str, object]) -> Instance:
    record["phase"] = Phase(str(record["phase"]))
    return Instance(**record)  # type: ignore[arg-type]  # its fields are as asdict wrote them
