"""Passive ejection through a whole stack: instances that fail live traffic while their active checks succeed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cloudlet.load import LoadPlan
from cloudlet.policy.ejection import Rule, Traffic, decide
from tests.support.gateway import get
from tests.support.live_stack import until
from tests.support.load import load

from .conftest import BehavingStack

STACK = """
name: ejecting
services:
  closing:
    {app}
    instances: 3
    balance: round-robin
    eject: {after: 5 errors, at_most: 50%, for: 1s}
  failing:
    {app}
    instances: 3
    balance: round-robin
    eject: {after: 5 errors, at_most: 50%, on: [5xx], for: 1s}
  poisoned:
    {app}
    instances: 4
    balance: round-robin
    eject: {after: 3 errors, at_most: 50%, on: [5xx], for: 1s}
  cut:
    {app}
    instances: 4
    balance: round-robin
    eject: {after: 3 errors, at_most: 50%, for: 1s}
  kept:
    {app}
    instances: 3
    balance: round-robin
    eject: {after: 3 errors, at_most: 50%, for: 1h}
gateway:
  listen: {http: 0, https: "off"}
  routes:
  - {path: /closing/*, to: closing}
  - {path: /failing/*, to: failing}
  - {path: /poisoned/*, to: poisoned}
  - {path: /cut/*, to: cut}
  - {path: /kept/*, to: kept}
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[BehavingStack]:
    with BehavingStack(STACK) as live:
        live.up()
        yield live


def steady(stack: BehavingStack, service: str, seconds: float) -> LoadPlan:
    url = f"{stack.address()}/{service}/x"
    return LoadPlan(url, rate=100, duration=seconds, connections=32, timeout=5, by_header="X-Instance")


def history(stack: BehavingStack, service: str) -> list[Any]:
    """What passive checks did to its instances, the oldest first."""
    entries = [*stack.events("ejected"), *stack.events("restored")]
    return sorted((e for e in entries if e["subject"].startswith(service)), key=lambda entry: entry["id"])


def happened(stack: BehavingStack, service: str, count: int) -> list[Any]:
    """The first so many of them."""
    found = until(lambda: h if len(h := history(stack, service)) >= count else None, f"{count} events of {service}", 15)
    return list(found[:count])


def requests(stack: BehavingStack, instance: str) -> int:
    return int(stack.instances(instance.rpartition("-")[0])[instance]["requests"])


def most_out(entries: list[Any]) -> int:
    """How many were out at once at most."""
    out: set[str] = set()
    most = 0
    for entry in entries:
        (out.add if entry["event"] == "ejected" else out.discard)(entry["subject"])
        most = max(most, len(out))
    return most


def test_an_instance_that_closes_connections_is_ejected_and_returns(stack: BehavingStack) -> None:
    """It is out for its time and gets nothing meanwhile; still failing it goes for twice as long; well again it serves
    again. No idempotent request fails all the while."""
    stack.behave("closing-1", close=True)
    with load(steady(stack, "closing", 6)) as running:
        first, back, second = happened(stack, "closing", 3)
        before = requests(stack, "closing-1")
        stack.behave("closing-1")
        (*_, again) = happened(stack, "closing", 4)
    out, longer = back["at"] - first["at"], again["at"] - second["at"]
    print(f"\n{first['because']}; out for {out:.2f} s, then {longer:.2f} s; {running.report.by_header}")
    assert [e["event"] for e in (first, back, second, again)] == ["ejected", "restored", "ejected", "restored"]
    assert {e["subject"] for e in (first, back, second, again)} == {"closing-1"}
    assert 1.0 <= out < 3.2
    assert 2.0 <= longer < 4.2
    assert running.report.failed == 0
    until(lambda: get(stack.address(), "/closing/x") == (200, "closing-1"), "the instance to serve again", 5)
    assert requests(stack, "closing-1") > before


def test_an_instance_that_answers_5xx_is_ejected_where_the_file_says_so(stack: BehavingStack) -> None:
    """Its 500s reach clients until it is out, none do after that; where only connections count it stays."""
    for instance in ("failing-2", "closing-2"):
        stack.behave(instance, status=500)
    with load(steady(stack, "closing", 2)) as plain, load(steady(stack, "failing", 2)) as counted:
        (ejected,) = happened(stack, "failing", 1)
        assert {get(stack.address(), "/failing/x")[0] for _ in range(10)} == {200}
        stack.behave("failing-2")
    happened(stack, "failing", 2)
    stack.behave("closing-2")
    fails, stays = (report.failures.get("status 500", 0) for report in (counted.report, plain.report))
    print(f"\n{ejected['subject']}: {ejected['because']}; {fails} of {counted.report.sent} answers were its 500s")
    print(f"where 5xx do not count: {stays} of {plain.report.sent}")
    assert ejected["subject"] == "failing-2"
    assert set(counted.report.failures) <= {"status 500"}
    assert fails < stays
    assert not [e for e in history(stack, "closing") if e["subject"] == "closing-2"]


@pytest.mark.parametrize(
    ("service", "how", "status"),
    [("poisoned", {"status": 500}, "status 500"), ("cut", {"close": True}, "status 502")],
    ids=["answers of 500", "closed connections"],
)
def test_requests_that_fail_everywhere_never_empty_the_backend(
    stack: BehavingStack, service: str, how: dict[str, Any], status: str
) -> None:
    """Two of four are out at most, as the policy says; every request gets an instance's failure, never a 503."""
    names = [f"{service}-{n}" for n in range(1, 5)]
    for name in names:
        stack.behave(name, **how)
    with load(steady(stack, service, 3)) as running:
        happened(stack, service, 3)
    for name in names:
        stack.behave(name)
    entries = history(stack, service)
    rule = Rule(after=3, at_most=0.5, first=1.0)
    decided = decide([Traffic(name, errors=25) for name in names], {}, rule, 0.0).actions
    print(f"\n{running.report.failures}; at most {most_out(entries)} out, the policy says {len(decided)}")
    assert most_out(entries) == len(decided) == 2
    assert set(running.report.failures) == {status}
    until(lambda: still_out(stack, service) == 0, "all to be back", 10)
    assert {get(stack.address(), f"/{service}/x")[0] for _ in range(8)} == {200}


def still_out(stack: BehavingStack, service: str) -> int:
    """How many are out now."""
    last = {entry["subject"]: entry["event"] for entry in history(stack, service)}
    return sum(event == "ejected" for event in last.values())


@pytest.mark.parametrize(
    ("before", "after", "succeeds"),
    [
        ("  - {path: /kept/*", "  - {path: /more/*, to: kept}\n  - {path: /kept/*", False),
        ("for: 1h}", "for: 1h}\n    timeout: 7s", True),
    ],
    ids=["over the runtime socket", "by a succession of the edge"],
)
def test_an_ejected_instance_stays_out_when_the_file_changes(
    stack: BehavingStack, before: str, after: str, succeeds: bool
) -> None:
    """Applying a change gives it no traffic back before its time."""
    stack.behave("kept-3", close=True)
    with load(steady(stack, "kept", 2)):
        happened(stack, "kept", 1)
    edge = stack.engine("edge")["pid"]
    stack.write(stack.file.read_text().replace(before, after, 1))
    stack.cloudlet("up", "-d", "--yes")
    assert (stack.engine("edge")["pid"] != edge) == succeeds
    had = requests(stack, "kept-3")
    answers = {get(stack.address(), "/kept/x") for _ in range(12)}
    found = stack.instances("kept")["kept-3"]
    print(f"\n{sorted(answers)}; {found['requests'] - had} tried on kept-3, {found['phase']}: {found['because']}")
    assert answers == {(200, "kept-1"), (200, "kept-2")}
    assert found["requests"] == had
    assert "ejected" in found["because"]
