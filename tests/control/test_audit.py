"""The audit: refusals out of the edge's log and changes out of the journal, nothing sampled, nothing lost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cloudlet.contracts.paths import StatePaths
from cloudlet.control.audit import Audit
from cloudlet.control.journal import Journal
from cloudlet.control.store import Store
from cloudlet.runtime.keeper.logfile import LogFile
from cloudlet.runtime.logs import tail


class Logs:
    """The edge's log as the keeper writes it, and an audit beside it."""

    def __init__(self, folder: Path) -> None:
        self.paths = StatePaths(folder / ".cloudlet")
        self.paths.create()
        self.store = Store(self.paths.database)
        self.journal = Journal(self.store)
        self.edge = LogFile(self.paths.log("edge"), rotate_at=2000)

    def audit(self) -> Audit:
        return Audit(self.paths, self.journal)

    def write(self, number: int, refused: str = "-") -> None:
        line = json.dumps(
            {"request": str(number), "status": 403, "refused": refused, "path": "/a"}, separators=(",", ":")
        )
        block = f"2026-01-31T12:00:{number % 60:02}.000000Z {line}\n".encode()
        self.edge.prepare(len(block))
        self.edge.append(block, 1)

    def audited(self) -> list[dict[str, object]]:
        return [json.loads(line.text) for line in tail({"audit": self.paths.log("audit")}, 10_000)]

    def numbers(self) -> list[int]:
        return [int(str(row["request"])) for row in self.audited() if row["kind"] == "refused"]


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def test_refusals_are_copied_and_nothing_else(logs: Logs) -> None:
    """With why, and what was asked; a second look copies nothing twice."""
    audit = logs.audit()
    logs.write(1)
    logs.write(2, "injection:template")
    audit.copy()
    audit.copy()
    assert logs.audited() == [
        {"kind": "refused", "reason": "injection:template", "status": 403, "path": "/a", "request": "2"}
    ]


def test_a_rotated_log_loses_nothing(logs: Logs) -> None:
    """Whatever was rotated between two looks is read, each line once and in order."""
    audit = logs.audit()
    for number in range(40):
        logs.write(number, "size")
        if number in (3, 25):
            audit.copy()
    audit.copy()
    assert logs.numbers() == list(range(40))
    assert logs.edge.size < 2000, "it was rotated"


def test_a_successor_goes_on_where_it_stood(logs: Logs) -> None:
    """Also with what was refused while nobody looked."""
    first = logs.audit()
    logs.write(1, "size")
    first.close()
    for number in range(2, 30):
        logs.write(number, "size")
    logs.audit().copy()
    assert logs.numbers() == list(range(1, 30))


def test_what_is_gone_is_said(logs: Logs) -> None:
    """When the edge's log went round while nobody looked, a line says that some are missing."""
    audit = logs.audit()
    logs.write(0, "size")
    audit.copy()
    for number in range(1, 300):
        logs.write(number, "size")
    audit.copy()
    kinds = [row["kind"] for row in logs.audited()]
    assert kinds.count("gap") == 1
    assert logs.numbers()[-1] == 299


def test_changes_of_keys_and_rules_are_in_it(logs: Logs) -> None:
    """And what instances do is not."""
    audit = logs.audit()
    logs.journal.info("key k1", "issued to jane", "by user root")
    logs.journal.info("orders-1", "serving", "its check answered")
    logs.journal.info("shop", "applied", "cloudlet.yaml describes it")
    audit.close()
    assert [(row["kind"], row["subject"]) for row in logs.audited()] == [("changed", "key k1"), ("changed", "shop")]


def test_an_unfinished_line_waits(logs: Logs) -> None:
    """What the keeper is still writing is read when it is whole."""
    audit = logs.audit()
    logs.write(1, "size")
    path = logs.paths.log("edge")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    audit.copy()
    assert logs.audited() == []
    with path.open("ab") as file:
        file.write(whole[-20:])
    audit.copy()
    assert logs.numbers() == [1]


async def test_refusals_that_cannot_be_written_wait_for_room(logs: Logs) -> None:
    """A disk that is full for a while costs no line of the audit, and is said in the journal, once."""
    audit, file = logs.audit(), logs.paths.log("audit")
    file.mkdir()  # as good as full: nothing can be written there
    logs.write(1, "address")
    running = asyncio.create_task(audit.run())
    await _event(logs, "not written")
    logs.write(2, "address")
    file.rmdir()
    await _event(logs, "written again")
    running.cancel()
    assert logs.numbers() == [1, 2]
    assert [event.event for event in logs.journal.since(0)] == ["not written", "written again"]


async def _event(logs: Logs, event: str) -> None:
    async with asyncio.timeout(10):
        async for entry in logs.journal.follow(0):
            if entry.event == event:
                return
