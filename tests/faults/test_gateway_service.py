"""cloudlet-gateway and cloudlet-store are killed under load: what may be repeated is lost to nobody, and what has an
Idempotency-Key is carried out as docs/guides/idempotency-and-fallback.md promises."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from tests.support import front
from tests.support.front import counted, kill, status, steady
from tests.support.gateway import get
from tests.support.live_stack import LiveStack, until
from tests.support.load import every, load, said

REST = """
gateway:
  listen: {{http: 0, https: "off"}}
  routes:
    - {{path: /json/*, to: web, body: {{response: {{drop: [secret], rename: {{name: instance}}}}}}}}
    - {{path: /pay/*, to: web, idempotency: true}}
    - path: /logged/*
      to: web
      rate_limits: [{{rate: 5/h, algorithm: sliding-log, per: "header:X-Tenant"}}]
"""
GATEWAY, STORE = "cloudlet-gateway-1", "cloudlet-store"
#: seconds around a death in which a request that it interrupted reaches the service
UNDER_WAY = 1.0
REPLAYED = "idempotency-replayed"


@pytest.fixture
def stack(stack_of):
    with stack_of(front.STACK.format(rest=REST)) as live:
        live.up()
        yield live


def paying(stack: LiveStack, **more: object):
    """POSTs, each with a key of its own, which is its number."""
    return steady(stack, "/pay/a", method="POST", number_header="Idempotency-Key", **more)


def carried_out(stack: LiveStack) -> dict[str, list[float]]:
    """When each key was carried out at the service, in time.monotonic() seconds."""
    found = defaultdict(list)
    for line in (stack.folder / "posted").read_text().splitlines():
        key, _, at = line.split()
        found[key].append(float(at))
    return found


def killed_under_load(stack: LiveStack, kills: int, seconds: float) -> None:
    died: list[float] = []
    gets = steady(stack, "/json/a", rate=900, duration=seconds, timeout=60)
    with load(gets) as getting, load(paying(stack, rate=250, duration=seconds, connections=64, timeout=60)) as posting:
        every(seconds / (kills + 1), kills, lambda: died.append(kill(stack, GATEWAY)))
    done, got, paid = carried_out(stack), getting.report, posting.report
    twice = [times for times in done.values() if len(times) > 1]
    repeats = paying(stack, rate=None, duration=None, concurrency=32, requests=paid.sent, by_header=REPLAYED)
    with load(repeats) as again:
        pass
    replayed = again.report.by_header.get("true", 0)
    print(
        f"\ncloudlet-gateway killed {kills} times: GET {said(got)}; keyed POST {said(paid)}, {len(done)} keys carried out"
        f", {len(twice)} of them twice; asked again, {replayed} got the first answer"
    )
    answer, body = get(stack.address(), "/json/a")
    assert (answer, list(json.loads(body))) == (200, ["instance"])
    assert got.sent + paid.sent >= 10_000
    assert (got.failed, paid.failed, len(done)) == (0, 0, paid.sent)
    # only what was under way when it died
    assert all(any(abs(first - death) < UNDER_WAY for death in died) for first, *_ in twice)
    assert replayed == again.report.sent == paid.sent
    assert carried_out(stack) == done


def test_the_gateway_service_is_killed_and_loses_nothing(stack):
    """Its only instance, three times: no GET fails, and of keyed POSTs only those under way just then come twice."""
    killed_under_load(stack, kills=3, seconds=9)


@pytest.mark.soak
def test_the_gateway_service_is_killed_again_and_again(stack):
    """The long form: ten times in a minute."""
    killed_under_load(stack, kills=10, seconds=60)
