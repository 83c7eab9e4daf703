"""One service of three hangs: it accepts and never answers. The others keep their latency, and its breaker opens, tries
and closes as the file says."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from cloudlet.load import LoadPlan, Report, Request
from tests.support.gateway import get
from tests.support.live_stack import LiveStack, until
from tests.support.load import load, said

WELL = """
    command: {python} app.py
    instances: 2
    environment: {{POSTED: {posted}}}
    health: {{path: /health}}"""
STACK = f"""
name: neighbours
services:
  one:{WELL}
  two:{WELL}
  late:{WELL}
    timeout: 1s
    breaker: {{{{errors: 50%, over: 10s, at_least: 20, open_for: 1500ms}}}}
gateway:
  listen: {{{{http: 0, https: "off"}}}}
  routes:
    - {{{{path: /one/*, to: one}}}}
    - {{{{path: /two/*, to: two}}}}
    - {{{{path: /*, to: late}}}}
"""
#: the hanging service's answers take so long
HANGING = "/slow/60"


@pytest.fixture
def stack(stack_of):
    with stack_of(STACK) as live:
        live.up()
        yield live


def neighbours(stack: LiveStack) -> LoadPlan:
    """6,000 requests in 4 s to the two that are well."""
    mix = (Request(target="/one/x"), Request(target="/two/x"))
    return LoadPlan(stack.address(), rate=1500, duration=4, connections=64, timeout=20, mix=mix)


def breaker(stack: LiveStack) -> str:
    return next(s["breaker"] for s in stack.status()["services"] if s["name"] == "late")


def journaled(stack: LiveStack) -> list[str]:
    return [e["event"] for e in stack.ask("/v1/events") if e["subject"] == "late" and "breaker" in e["event"]]


def test_a_hanging_service_leaves_its_neighbours_alone(stack):
    """None of 12,000 requests to the others fails, before or while it hangs; those to it get 504 within its limit,
    then 503 at once; one request at a time tries it, and the first that is answered closes the breaker."""
    with load(neighbours(stack)) as running:
        pass
    alone: Report = running.report
    hanging = LoadPlan(stack.address() + HANGING, rate=50, duration=4, timeout=10)
    with load(neighbours(stack)) as running, load(hanging) as late:
        opened = until(lambda: "breaker opened" in journaled(stack), "an open breaker")
    beside, hung = running.report, late.report
    print(
        f"\nneighbours alone: {said(alone)}, p99 {alone.latency.p99 * 1000:.1f} ms; beside a service that hangs: "
        f"{said(beside)}, p99 {beside.latency.p99 * 1000:.1f} ms; that one: {hung.statuses}"
    )
    assert opened
    assert alone.sent + beside.sent >= 10_000
    assert (alone.failed, beside.failed) == (0, 0)
    assert set(hung.statuses) == {503, 504}
    # those that were sent before the twentieth of them had waited its second, and one each time it is tried
    assert 20 <= hung.statuses[504] <= 50 * 2
    assert hung.latency.max < 5
    closes_when_it_answers(stack)


def closes_when_it_answers(stack: LiveStack) -> None:
    until(lambda: get(stack.address(), "/")[0] == 200, "an answer")
    assert [get(stack.address(), "/")[0] for _ in range(20)] == [200] * 20
    until(lambda: breaker(stack) == "closed", "a closed breaker")
    told = until(lambda: t if "breaker closed" in (t := journaled(stack)) else None, "its journal")
    assert told[0] == "breaker opened"
    assert {"breaker half-open", "breaker opened again"} <= set(told)
    assert told[-1] == "breaker closed"
    (because,) = {e["because"] for e in stack.events("breaker opened") if e["subject"] == "late"}
    failed, answers = because.split()[0], because.split()[2]
    assert int(failed) >= 20
    assert int(answers) >= int(failed)


def test_an_open_breaker_refuses_at_once_and_works_while_cloudlet_is_dead(stack):
    """It is HAProxy's: killed cloudlet or not, a silent service costs each client its limit once, then nothing."""
    address = stack.address()
    os.kill(stack.daemon, signal.SIGKILL)
    hanging = LoadPlan(address + HANGING, concurrency=20, requests=20, timeout=10)
    with load(hanging) as late:
        pass
    assert late.report.statuses == {504: 20}
    began = time.monotonic()
    status, body = get(address, HANGING)
    took = time.monotonic() - began
    print(f"\nan open breaker answers {status} after {took * 1000:.1f} ms")
    assert status == 503
    assert "late fails too often" in json.loads(body)["detail"]
    stack.up()
    until(lambda: get(address, "/")[0] == 200, "an answer")
