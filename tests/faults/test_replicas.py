"""`edge: {replicas: 2}`: one of two HAProxy processes is killed under load, and their number changes: what a client may
repeat is lost to nobody."""

from __future__ import annotations

import os
import signal

import pytest

from cloudlet.load import LoadPlan
from tests.support.gateway import answering
from tests.support.live_stack import LiveStack, until
from tests.support.load import every, load, said

STACK = """
name: replicas
services:
  web:
    command: {python} app.py
    instances: 3
    environment: {{POSTED: {posted}}}
    health: {{path: /health}}
    balance: round-robin
edge: {{replicas: 2, threads: 1}}
gateway:
  listen: {{http: 0, https: "off"}}
  routes: [{{path: /*, to: web}}]
"""


@pytest.fixture
def stack(stack_of):
    with stack_of(STACK) as live:
        live.up()
        yield live


def steady(stack: LiveStack, **more) -> LoadPlan:
    """10,800 requests in 6 s."""
    return LoadPlan(stack.address(), **{"rate": 1800, "duration": 6, "connections": 64, "timeout": 20} | more)


def edges(stack: LiveStack) -> dict[str, int]:
    """The replicas' processes by name."""
    return {e["name"]: e["pid"] for e in stack.status()["engines"] if e["kind"] == "haproxy"}


def kill_one(stack: LiveStack, turn: int) -> None:
    """First and second in turn."""
    name = ("edge", "edge-2")[turn % 2]
    before = edges(stack)[name]
    os.kill(before, signal.SIGKILL)
    until(lambda: edges(stack)[name] not in (before, None), f"another process of {name}")


def killed_under_load(stack: LiveStack, kills: int, plan: LoadPlan) -> None:
    turns = iter(range(kills))
    with load(plan) as running:
        every(plan.duration / (kills + 1), kills, lambda: kill_one(stack, next(turns)))
    report = running.report
    print(
        f"\none of two replicas killed {kills} times (client {'retries' if plan.retry else 'does not retry'}): "
        f"{said(report)}, {report.retried} retried"
    )
    assert report.sent >= 10_000
    assert report.failures.get("connect", 0) == 0
    # what was in flight on it: at the most one request for each connection, each time
    assert report.failed <= (0 if plan.retry else kills * plan.connections)
    assert set(report.failures) <= {"reset", "reused-closed"}
    assert answering(stack.address(), 12) == set(stack.serving("web"))


def test_one_of_two_is_killed_and_only_what_it_had_is_cut(stack):
    """Six times in turn: nobody is refused, the other serves meanwhile."""
    killed_under_load(stack, 6, steady(stack))


def test_a_client_that_retries_once_sees_nothing_of_it(stack):
    """What browsers and most libraries do anyway is enough: none fails."""
    killed_under_load(stack, 6, steady(stack, retry=True))


@pytest.mark.soak
def test_one_of_two_is_killed_every_second_for_20_seconds(stack):
    """The long form: one a second."""
    killed_under_load(stack, 20, steady(stack, duration=21, rate=1500, retry=True))


def test_replicas_come_and_go_under_load(stack):
    """2 → 1 → 2 → 1 by `up`: none of 10,800 requests fails, and one too many is gone when it has finished."""
    text = stack.file.read_text()
    counts = iter([1, 2, 1])
    with load(steady(stack)) as running:
        every(1.5, 3, lambda: (stack.write(text.replace("replicas: 2", f"replicas: {next(counts)}")), stack.up()))
    report = running.report
    print(f"\nreplicas 2, 1, 2, 1: {said(report)}")
    assert report.sent >= 10_000
    assert report.failed == 0
    assert set(edges(stack)) == {"edge"}


def test_cloudlet_killed_with_two_replicas_adopts_both(stack):
    """Nothing notices, and the next `up` takes over both processes."""
    before, daemon = edges(stack), stack.daemon
    with load(steady(stack)) as running:
        os.kill(daemon, signal.SIGKILL)
        until(lambda: stack.cloudlet("status", check=False).returncode == 4, "cloudlet to be gone")
        stack.up()
    report = running.report
    print(f"\ncloudlet killed with two replicas: {said(report)}")
    assert report.sent >= 10_000
    assert report.failed == 0
    assert edges(stack) == before
    assert set(before) == {"edge", "edge-2"}
