"""cloudlet and its keeper are killed under load: keys, limits and breakers go on at the edge; adoption keeps them."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support import front
from tests.support.front import counted, issue, status, steady
from tests.support.live_stack import LiveStack, until
from tests.support.load import load

SICK = """
  sick:
    command: {{python}} app.py
    instances: 2
    health: {{{{path: /health}}}}
    breaker: {{{{errors: 50%, over: 10s, open_for: 60s}}}}
"""
REST = """
identity: {{api_keys: true}}
gateway:
  listen: {{http: 0, https: "off"}}
  routes:
    - path: /*
      to: web
      require: {{api_key: true}}
      rate_limits: [{{per: user, rate: 50000/s, algorithm: token-bucket}}]
    - {{path: /few, to: web, require: {{api_key: true}}, rate_limits: [{{per: key, rate: 5/d}}]}}
    - {{path: /sick, to: sick, rewrite: /slow/never}}
"""


@pytest.fixture
def stack(stack_of):
    with stack_of(front.STACK.format(rest=SICK.format() + REST)) as live:
        live.up()
        yield live


def test_rules_hold_while_nobody_watches(stack):
    """Killed are cloudlet, the keeper, and both at once: valid requests go on, a revoked key is refused, a limit that
    is used up stays so, and the breaker opens without them."""
    address, edge = stack.address(), stack.engine("edge")["pid"]
    good, (gone_id, gone), spent = issue(stack, "good")[1], issue(stack, "gone"), issue(stack, "spent")[1]
    stack.cloudlet("key", "revoke", gone_id)
    assert [status(address, "/few", X_API_Key=spent) for _ in range(6)] == [200] * 5 + [429]

    def hold() -> None:
        found = [status(address, "/a", X_API_Key=good), status(address, "/a", X_API_Key=gone)]
        assert [*found, status(address, "/few", X_API_Key=spent)] == [200, 401, 429]

    with load(steady(stack, headers={"X-API-Key": good})) as running:
        killed(stack, stack.daemon)
        hold()
        until(lambda: status(address, "/sick") == 503, "the breaker to open")
        stack.up()
        hold()
        os.kill(stack.keeper, signal.SIGKILL)
        hold()
        daemon, keeper = stack.daemon, until(lambda: stack.keeper, "the keeper's successor")
        os.kill(keeper, signal.SIGKILL)
        killed(stack, daemon)
        hold()
        stack.up()
        hold()
    assert status(address, "/sick") == 503
    assert stack.engine("edge")["pid"] == edge
    assert gone_id not in stack.cloudlet("key", "ls").stdout
    counted("cloudlet and the keeper killed with keys, limits and a breaker", running.report)


def killed(stack: LiveStack, daemon: int) -> None:
    os.kill(daemon, signal.SIGKILL)
    until(lambda: stack.cloudlet("status", check=False).returncode == 4, "cloudlet to be gone")
