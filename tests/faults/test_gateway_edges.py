"""Two edges count together, also while one of them is killed."""

from __future__ import annotations

import pytest

from cloudlet.load import Report
from tests.support import front
from tests.support.front import issue, kill, steady
from tests.support.live_stack import LiveStack
from tests.support.load import every, load, said

MOST, KILLS = 4000, 3
REST = """
edge: {{replicas: 2, threads: 1}}
identity: {{api_keys: true}}
gateway:
  listen: {{http: 0, https: "off"}}
  routes:
    - path: /*
      to: web
      require: {{api_key: true}}
      rate_limits: [{{per: user, algorithm: fixed-window, rate: 4000/d}}]
"""
#: a refusal is what is expected of most
ANSWERS = ((200, 200), (429, 429))


@pytest.fixture
def stack(stack_of):
    with stack_of(front.STACK.format(rest=REST)) as live:
        live.up()
        yield live


def asked(stack: LiveStack, kills: int) -> Report:
    """By one user on 32 connections, half of which are at either edge."""
    user = {"X-API-Key": issue(stack, f"user{kills}")[1]}
    names = iter(["edge", "edge-2"] * kills)
    with load(steady(stack, rate=2200, duration=4.6, headers=user, expect=ANSWERS, retry=True)) as running:
        every(1, kills, lambda: kill(stack, next(names)))
    return running.report


def uncounted(stack: LiveStack) -> bool:
    """Whether an edge says that the store took longer than 50 ms, so that it let requests pass: on a busy machine."""
    return any("pass uncounted" in log.read_text(errors="replace") for log in stack.paths.logs.glob("edge*.log"))


def test_two_edges_share_a_limit_exactly(stack):
    """4,000 of 10,120 requests pass, no more and no fewer; with one of the two killed three times never more, and fewer
    only by what was in flight on it."""
    whole, killed = asked(stack, 0), asked(stack, KILLS)
    passed, late = [report.statuses.get(200, 0) for report in (whole, killed)], uncounted(stack)
    print(
        f"\ntwo edges, a limit of {MOST}: {passed[0]} passed, an error of {passed[0] - MOST}; {said(whole)}\n"
        f"one of them killed {KILLS} times: {passed[1]} passed, an error of {passed[1] - MOST}; {said(killed)}"
        f"{'; the store was late and let some pass' if late else ''}"
    )
    assert min(whole.sent, killed.sent) >= 10_000
    assert (whole.failed, killed.failed) == (0, 0)
    assert passed[0] >= MOST and passed[1] >= MOST - KILLS * 32
    assert late or (passed[0] == MOST and passed[1] <= MOST)
