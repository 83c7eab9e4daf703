"""HAProxy is killed, succeeded and reconfigured under load, and deployments go out: what is open stays open."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import ClientConnection, connect

from cloudlet.load import LoadPlan
from tests.support.gateway import answering, get
from tests.support.live_stack import LiveStack, until
from tests.support.load import every, load, said

STACK = """
name: edges
services:
  web:
    command: {python} app.py
    instances: 3
    environment: {{POSTED: {posted}}}
    health: {{path: /health}}
    balance: round-robin
gateway:
  listen: {{http: 0, https: "off"}}
  routes: [{{path: /*, to: web}}]
"""
ROUTE = "{path: /*, to: web}"
ANOTHER_ROUTE = "{path: /other/*, to: other}, {path: /extra, to: web}, {path: /*, to: web}"
ANOTHER_SERVICE = """
  other:
    command: {command}
    instances: 2
    health: {{path: /health}}
gateway:"""


@pytest.fixture
def stack(stack_of):
    with stack_of(STACK) as live:
        live.up()
        yield live


def steady(stack: LiveStack, **more) -> LoadPlan:
    """10,800 requests in 6 s."""
    return LoadPlan(stack.address(), **{"rate": 1800, "duration": 6, "connections": 64, "timeout": 20} | more)


def kill_edge(stack: LiveStack) -> float:
    """SIGKILL, and the seconds until a connection made right after it is answered."""
    edge, address = stack.engine("edge")["pid"], stack.address()
    began = time.monotonic()
    os.kill(edge, signal.SIGKILL)
    assert get(address)[0] == 200
    took = time.monotonic() - began
    until(lambda: stack.engine("edge")["pid"] not in (edge, None), "another edge process")
    return took


def killed_under_load(stack: LiveStack, kills: int, plan: LoadPlan) -> None:
    servers, took = stack.serving("web"), []
    with load(plan) as running:
        every(plan.duration / (kills + 1), kills, lambda: took.append(kill_edge(stack)))
    report = running.report
    times = ", ".join(f"{seconds * 1000:.0f}" for seconds in took)
    print(
        f"\nthe edge killed {kills} times (client {'retries' if plan.retry else 'does not retry'}): {said(report)}"
        f", {report.retried} retried; a new connection was answered after {times} ms"
    )
    assert report.sent >= 10_000
    assert report.failures.get("connect", 0) == 0
    if plan.retry:
        assert report.failed == 0
    else:
        # what was in flight: at the most one request for each connection, each time
        assert report.failed <= kills * plan.connections
        assert set(report.failures) <= {"reset", "reused-closed"}
    same = {name: (instance["pid"], instance["port"]) for name, instance in servers.items()}
    now = stack.serving("web")
    assert {name: (instance["pid"], instance["port"]) for name, instance in now.items()} == same
    assert answering(stack.address(), 12) == set(same)


def test_a_killed_edge_is_back_and_refuses_nobody(stack):
    """Only what was in flight is cut; new connections wait in the backlog, and the same servers serve them."""
    killed_under_load(stack, 4, steady(stack))


def test_a_client_that_retries_once_sees_nothing_of_a_killed_edge(stack):
    """What browsers and most libraries do anyway is enough: none fails."""
    killed_under_load(stack, 4, steady(stack, retry=True))


@pytest.mark.soak
def test_an_edge_killed_every_second_for_20_seconds(stack):
    """The long form: one a second."""
    killed_under_load(stack, 20, steady(stack, duration=21, rate=1500, retry=True))


def test_an_edge_killed_right_after_a_scale_has_the_new_servers(stack):
    """What the runtime socket was told and no file says yet is told again."""
    stack.cloudlet("scale", "web=5")
    until(lambda: len(stack.serving("web")) == 5, "five instances")
    kill_edge(stack)
    assert answering(stack.address(), 20) == {f"web-{number}" for number in range(1, 6)}


@contextmanager
def web_sockets(stack: LiveStack, count: int) -> Iterator[list[ClientConnection]]:
    """So many open ones, each of which has echoed once."""
    place = urlsplit(stack.address()).netloc
    with ExitStack() as opened:
        channels = [opened.enter_context(connect(f"ws://{place}/ws", proxy=None)) for _ in range(count)]
        assert echoing(channels) == count
        yield channels


def echoing(channels: list[ClientConnection]) -> int:
    """How many of them still echo."""
    count = 0
    for number, channel in enumerate(channels):
        channel.send(str(number))
        count += channel.recv(timeout=10).endswith(f" {number}")
    return count


def test_a_new_service_and_route_close_no_connection(stack):
    """`up` with another backend succeeds HAProxy under load: no request fails, 50 WebSockets go on echoing."""
    edge = stack.engine("edge")["pid"]
    another = ANOTHER_SERVICE.format(command=f"{sys.executable} app.py")
    text = stack.file.read_text()
    with web_sockets(stack, 50) as channels:
        with load(steady(stack)) as running:
            stack.write(text.replace(ROUTE, ANOTHER_ROUTE).replace("\ngateway:", another))
            stack.up()
            assert answering(stack.address(), 4, "/other/") == {"other-1", "other-2"}
            changed = stack.engine("edge")["pid"]
            stack.write(text)
            stack.up()
        still = echoing(channels)
    report = running.report
    print(f"\na service and its routes added and removed: {said(report)}; {still} of 50 WebSockets still echo")
    assert report.sent >= 10_000
    assert report.failed == 0
    assert still == 50
    assert changed != edge


def test_a_changed_route_needs_no_other_process(stack):
    """A route to a known service changes in HAProxy's maps: the same process, and 50 WebSockets go on."""
    edge = stack.engine("edge")["pid"]
    text = stack.file.read_text()
    with web_sockets(stack, 50) as channels:
        with load(steady(stack, rate=2000, duration=5.5)) as running:
            stack.write(text.replace(ROUTE, "{path: /extra, to: web}, " + ROUTE))
            stack.up()
            stack.write(text)
            stack.up()
        still = echoing(channels)
    report = running.report
    print(f"\na route added and removed: {said(report)}; {still} of 50 WebSockets still echo")
    assert report.sent >= 10_000
    assert report.failed == 0
    assert still == 50
    assert stack.engine("edge")["pid"] == edge


def replaced_under_load(stack: LiveStack, replace) -> None:
    before = stack.processes()
    slow = LoadPlan(stack.address() + "/slow/1", concurrency=20, duration=6, timeout=20)
    with load(steady(stack)) as running, load(slow) as waiting:
        replace()
        until(lambda: all_fresh(stack, before), "fresh instances")
    report, held = running.report, waiting.report
    print(f"\nall instances replaced: {said(report)}; {held.failures or 'none'} failed of {held.sent} that take 1 s")
    assert report.sent >= 10_000
    assert report.failed == 0
    assert held.failed == 0
    assert stack.engine("edge")["pid"] == before["edge"]


def all_fresh(stack: LiveStack, before: dict[str, int]) -> bool:
    instances = stack.instances("web").values()
    serving = [i for i in instances if i["phase"] == "serving" and i["pid"] not in before.values()]
    return len(serving) == len(instances) == 3


def test_a_rolling_replacement_fails_nothing(stack):
    """A changed environment goes out instance by instance, and slow requests finish where they are."""

    def replace() -> None:
        stack.write(stack.file.read_text().replace("environment: {", "environment: {COLOUR: green, "))
        stack.up()

    replaced_under_load(stack, replace)


def test_a_restart_fails_nothing(stack):
    """`cloudlet restart` is a rolling replacement too."""
    replaced_under_load(stack, lambda: stack.cloudlet("restart", "web"))
