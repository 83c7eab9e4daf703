"""What `up` prints before it acts: the differences between two files, and what carrying them out does."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlet.control.planning import changes, undoes
from cloudlet.stack import Stack, parse

BEFORE = """
name: shop
services:
  orders:
    command: python3 -V
    instances: {min: 2, max: 8}
    health: {path: /health}
  users: {command: python3 -V}
gateway:
  routes:
    - {path: /orders/*, to: orders}
    - {path: /users/*, to: users}
databases: {shop-db: {}}
"""


@pytest.fixture
def stack_of(tmp_path: Path):
    return lambda text: parse(text, tmp_path / "cloudlet.yaml")


def told(old: Stack | None, new: Stack, **scaled: int) -> list[tuple[str, str, str]]:
    return [(change.action, change.kind, change.name) for change in changes(old, new, scaled)]


def test_the_same_file_changes_nothing(stack_of):
    """`up` twice is `up` once."""
    assert told(stack_of(BEFORE), stack_of(BEFORE)) == []


def test_a_first_file_adds_everything(stack_of):
    """Engines before services, services before routes: the order in which it happens."""
    assert told(None, stack_of(BEFORE)) == [
        ("add", "database", "shop-db"),
        ("add", "service", "orders"),
        ("add", "service", "users"),
        ("add", "route", "*/orders/*"),
        ("add", "route", "*/users/*"),
        ("add", "listener", "gateway http"),
        ("add", "listener", "gateway https"),
    ]


def test_listeners_are_told_with_their_addresses(stack_of):
    """Whoever reads the plan learns where the system will answer, and which address moves."""
    edge = "edge: {listeners: {names: {udp: 5353, to: names}}}\n"
    names = "  names: {command: python3 -V, protocol: udp}\n"
    before = BEFORE.replace("services:\n", "services:\n" + names) + edge
    assert [change.detail for change in changes(None, stack_of(before), {}) if change.kind == "listener"] == [
        "http://127.0.0.1:8080",
        "https://127.0.0.1:8443",
        "udp://127.0.0.1:5353 to names",
    ]
    moved = changes(stack_of(before), stack_of(before.replace("5353", "5354")), {})
    assert [(c.action, c.kind, c.name, c.detail) for c in moved] == [
        ("change", "listener", "names", "udp://127.0.0.1:5353 to names → udp://127.0.0.1:5354 to names")
    ]
    gone = changes(stack_of(before), stack_of(before.replace(edge, "")), {})
    assert [(c.action, c.kind, c.name) for c in gone] == [("remove", "listener", "names")]


@pytest.mark.parametrize(
    ("was", "becomes", "expected", "how"),
    [
        ("python3 -V}", "python3 -VV}", ("change", "service", "users"), "rolling replacement"),
        ("path: /health", "path: /ready", ("change", "service", "orders"), "seamless reload"),
        ("min: 2", "min: 3", ("scale", "service", "orders"), "runtime socket"),
        ("/users/*, to: users", "/users/*, to: orders", ("change", "route", "*/users/*"), "runtime socket"),
        ("databases: {shop-db: {}}", "", ("remove", "database", "shop-db"), "data folder stays"),
    ],
)
def test_each_kind_of_edit_says_what_it_does_to_traffic(stack_of, was, becomes, expected, how):
    """The plan is the promise: each line names its way."""
    found = changes(stack_of(BEFORE), stack_of(BEFORE.replace(was, becomes)), {})
    assert [(change.action, change.kind, change.name) for change in found] == [expected]
    assert how in found[0].how


def test_a_removed_service_leaves_with_its_routes(stack_of):
    """Nothing goes on pointing to what is not there."""
    after = BEFORE.replace("  users: {command: python3 -V}\n", "").replace("    - {path: /users/*, to: users}\n", "")
    assert told(stack_of(BEFORE), stack_of(after)) == [
        ("remove", "service", "users"),
        ("remove", "route", "*/users/*"),
    ]


def test_what_a_command_scaled_is_named_before_it_is_undone(stack_of):
    """The file is the truth, but nobody's `scale` is taken back in silence."""
    new = stack_of(BEFORE)
    assert told(new, new, orders=5) == [("scale", "service", "orders")]
    assert "scaled to 5" in undoes(new, {"orders": 5})["orders"]
    assert undoes(new, {"orders": 2}) == {}
