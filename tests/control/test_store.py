"""What cloudlet remembers survives its death, and nothing half-written is ever read."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlet.control.store import Instance, Store
from cloudlet.errors import DependencyError
from cloudlet.policy.lifecycle import Phase


def instance(name: str = "orders-1", **more: object) -> Instance:
    return Instance(name, "orders", 1, "r1", Phase.STARTING, 5.0, 20_001, **more)  # type: ignore[arg-type]


def test_instances_come_back_as_they_were_saved(tmp_path: Path):
    """Every field, the phase as a phase, in the order of their first save."""
    path = tmp_path / "state.db"
    first, second = instance(deaths=[1.0, 2.0], pid=7), instance("orders-2")
    store = Store(path)
    for one in (first, second):
        store.save(one)
    first.phase = Phase.SERVING
    store.save(first)
    store.delete("orders-2")
    del store  # as a killed process leaves it: not closed
    assert Store(path).instances() == [first]


def test_the_state_is_private(tmp_path: Path):
    """It holds the file's text and what ran."""
    Store(tmp_path / "state.db")
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600


def test_the_desired_state_is_the_last_one_until_the_stack_is_cleared(tmp_path: Path):
    """`down` forgets what is wanted and what was scaled, not the ports."""
    store = Store(tmp_path / "state.db")
    assert store.desired() is None
    store.desire("cloudlet.yaml", "name: a")
    store.desire("cloudlet.yaml", "name: b")
    store.scale({"orders": 4, "users": 1})
    store.unscale(["users"])
    store.keep_port("internal-users", 20_005)
    assert store.desired() == ("cloudlet.yaml", "name: b")
    assert store.scaled() == {"orders": 4}
    store.clear()
    assert (store.desired(), store.scaled(), store.instances()) == (None, {}, [])
    assert store.ports() == {"internal-users": 20_005}


def test_a_file_that_is_no_database_is_named(tmp_path: Path):
    """The message says what to do with it."""
    (tmp_path / "state.db").write_text("this is not a database, and long enough to be looked at" * 40)
    with pytest.raises(DependencyError, match="move it away"):
        Store(tmp_path / "state.db")


def test_the_journal_keeps_its_newest_entries(tmp_path: Path):
    """It does not grow without bound."""
    store = Store(tmp_path / "state.db")
    store._connection.execute("pragma synchronous=off")
    for number in range(24_100):
        store.write_event("info", "orders-1", "serving", str(number))
    kept = store.events(since=0, limit=100_000)
    assert 20_000 <= len(kept) <= 22_000
    assert kept[-1].because == "24099"
