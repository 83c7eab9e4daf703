"""Work in the background outlives its own failures, and says them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudlet.contracts.paths import StatePaths
from cloudlet.control.journal import Journal
from cloudlet.control.store import Store
from cloudlet.control.tasks import Tasks
from cloudlet.errors import EngineFailed


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    paths = StatePaths(tmp_path)
    paths.create()
    store = Store(paths.database)
    yield Journal(store)
    store.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EngineFailed("haproxy is away"), "haproxy is away; it is begun again"),
        (OSError("no space left"), "no space left; it is begun again"),
        (KeyError("nobody"), "KeyError: 'nobody' in"),
    ],
)
async def test_one_that_fails_is_told_and_begun_again(journal: Journal, error: Exception, said: str) -> None:
    """A full disk for a moment must not end the audit for as long as cloudlet runs."""
    tasks, again = Tasks(journal, pause=0.0), asyncio.Event()
    failures = [error]

    async def work() -> None:
        if failures:
            raise failures.pop()
        again.set()

    tasks.keep("audit", work)
    await asyncio.wait_for(again.wait(), 5)
    await tasks.cancel()
    told = [event for event in journal.since(0) if event.subject == "audit"]
    assert [event.level for event in told] == ["error"]
    assert said in told[0].because


async def test_cancel_ends_what_runs(journal: Journal) -> None:
    """Nothing is left behind when it returns."""
    tasks, ended, begun = Tasks(journal), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    tasks.keep("audit", work)
    await begun.wait()
    await tasks.cancel()
    assert ended.is_set()
