"""cloudlet and its keeper are killed under load: nobody notices, and whoever comes next takes over what runs."""

from __future__ import annotations

import os
import signal
import time

import pytest

from cloudlet.load import LoadPlan
from tests.support.gateway import answering
from tests.support.live_stack import LiveStack, until
from tests.support.load import load, said

STACK = """
name: survives
services:
  web:
    command: {python} app.py
    instances: 3
    environment: {{POSTED: {posted}}}
    health: {{path: /health, interval: 200ms}}
    balance: round-robin
    uses: [sessions]
caches: {{sessions: {{engine: valkey, memory: 16MB}}}}
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
    return LoadPlan(stack.address(), rate=1800, duration=6, connections=64, timeout=20, **more)


def kill_cloudlet(stack: LiveStack) -> None:
    daemon = stack.daemon
    os.kill(daemon, signal.SIGKILL)
    until(lambda: stack.cloudlet("status", check=False).returncode == 4, "cloudlet to be gone")


def kill_keeper(stack: LiveStack) -> int:
    """Kill it; the process id it had."""
    keeper = stack.keeper
    os.kill(keeper, signal.SIGKILL)
    return keeper


def new_keeper(stack: LiveStack, before: int) -> int:
    return until(lambda: now if (now := stack.keeper) != before else None, "another keeper")


def test_cloudlet_killed_interrupts_nothing_and_the_next_up_adopts(stack):
    """SIGKILL under load fails no request, and after `up` every instance, engine and the edge is the same process."""
    processes, keeper, daemon = stack.processes(), stack.keeper, stack.daemon
    with load(steady(stack)) as running:
        kill_cloudlet(stack)
        stack.up()
    report = running.report
    print(f"\ncloudlet killed and adopted again: {said(report)}")
    assert report.sent >= 10_000
    assert report.failed == 0
    assert stack.daemon != daemon
    assert stack.processes() == processes
    assert stack.keeper == keeper


@pytest.mark.soak
def test_cloudlet_killed_again_and_again(stack):
    """The long form: ten times within 30 s."""
    processes = stack.processes()
    with load(LoadPlan(stack.address(), rate=1200, duration=30, connections=64, timeout=20)) as running:
        for _ in range(10):
            kill_cloudlet(stack)
            stack.up()
    print(f"\ncloudlet killed ten times: {said(running.report)}")
    assert running.report.failed == 0
    assert stack.processes() == processes


def test_an_instance_that_dies_while_cloudlet_is_dead_comes_back(stack):
    """The keeper starts it again at its old address, the edge finds it there, and the next `up` adopts it."""
    before = stack.processes()
    address, web = stack.address(), sorted(stack.serving("web"))
    with load(steady(stack)) as running:
        kill_cloudlet(stack)
        os.kill(before["web-2"], signal.SIGKILL)
        until(lambda: answering(address, 12) == set(web) - {"web-2"}, "the edge to see that it is gone")
        until(lambda: answering(address, 12) == set(web), "the instance to be in rotation again")
        stack.up()
    report = running.report
    print(f"\ncloudlet, then an instance killed: {said(report)}")
    assert report.sent >= 10_000
    assert report.failed == 0
    after = stack.processes()
    assert after.pop("web-2") != before.pop("web-2")
    assert after == before
    assert answering(address, 12) == set(web)


def test_an_edge_that_dies_while_cloudlet_is_dead_comes_back(stack):
    """The keeper starts it again with the same servers; clients that try again once see nothing of it."""
    before = stack.processes()
    address, web = stack.address(), sorted(stack.serving("web"))
    with load(steady(stack, retry=True)) as running:
        kill_cloudlet(stack)
        began = time.monotonic()
        os.kill(before["edge"], signal.SIGKILL)
        assert answering(address, 12) == set(web)
        back = time.monotonic() - began
        stack.up()
    report = running.report
    print(f"\ncloudlet, then the edge killed: {said(report)}; 12 new connections answered after {back * 1000:.0f} ms")
    assert report.sent >= 10_000
    assert report.failed == 0
    after = stack.processes()
    assert after.pop("edge") != before.pop("edge")
    assert after == before


def test_the_keeper_killed_has_a_successor_with_the_same_processes(stack):
    """No request fails, its successor holds the same processes and sockets, and scaling and going down still work."""
    processes, address = stack.processes(), stack.address()
    with load(steady(stack)) as running:
        before = kill_keeper(stack)
        new_keeper(stack, before)
        stack.cloudlet("scale", "web=4")
        until(lambda: len(stack.serving("web")) == 4, "the fourth instance")
    report = running.report
    print(f"\nthe keeper killed: {said(report)}")
    assert report.sent >= 10_000
    assert report.failed == 0
    assert processes.items() <= stack.processes().items()
    assert stack.address() == address
    os.kill(processes["edge"], signal.SIGKILL)  # its successor has the listening socket of the one held before
    assert answering(address, 16) == {f"web-{number}" for number in range(1, 5)}
    stack.cloudlet("down")
    assert not [pid for pid in processes.values() if runs(pid)]


def test_cloudlet_and_the_keeper_killed_at_once(stack):
    """Nobody is left to look after anything, and still no request fails; `up` brings both back."""
    processes = stack.processes()
    with load(steady(stack)) as running:
        daemon, before = stack.daemon, stack.keeper
        os.kill(daemon, signal.SIGKILL)
        os.kill(before, signal.SIGKILL)
        stack.up()
    report = running.report
    print(f"\ncloudlet and the keeper killed at once: {said(report)}")
    assert report.sent >= 10_000
    assert report.failed == 0
    assert stack.processes() == processes
    assert stack.keeper != before
    stack.cloudlet("scale", "web=2")
    until(lambda: len(stack.instances("web")) == 2, "two instances")


def runs(pid: int) -> bool:
    """Whether it does anything any more: one that nobody reaped does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
