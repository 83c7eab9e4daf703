"""Rate limits that stick tables count, through a real edge."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import cloudlet.edge.steps as steps
from cloudlet.contracts.edge import EdgeConfiguration, Server

from .conftest import Harness, backend
from .limits import Limited, clock, limit, limited, passed


@pytest.fixture
def edge(harness: Harness) -> Limited:
    return Limited(harness)


async def test_a_fixed_window_lets_the_limit_pass_and_no_more(edge: Limited) -> None:
    """Ten of thirty in a window, and the whole limit again in the next one: the double burst."""
    await edge.start(limited("/*", limit("fixed-window", "10/s")), limited("/free/*"))
    await edge.get("/free/x")
    await clock(0.8)
    before = await edge.burst(15)
    await clock(0.0)
    after = await edge.burst(15)
    assert (passed(before), passed(after)) == (10, 10)
    assert after[-1].ended - before[0].began < 0.9, "both bursts came within less than a window"


async def test_a_sliding_counter_has_no_double_burst(edge: Limited) -> None:
    """What the last window's end saw still counts at the beginning of the next."""
    await edge.start(limited("/*", limit("sliding-counter", "10/s")), limited("/free/*"))
    await edge.get("/free/x")
    await clock(0.8)
    before = await edge.burst(15)
    await clock(0.0)
    after = await edge.burst(15)
    assert passed(before) >= 9
    assert passed(before) + passed(after) <= 13
    await clock(0.7)
    assert passed(await edge.burst(15)) >= 5


async def test_a_token_bucket_lets_its_burst_pass_and_then_its_rate(edge: Limited) -> None:
    """Five at once, then one every interval, never more."""
    await edge.start(limited("/*", limit("token-bucket", "10/s", burst=5)))
    first = await edge.burst(20)
    assert passed(first[:6]) >= 5
    began = time.monotonic()
    later = []
    while time.monotonic() < began + 1.0:
        later.append(await edge.get())
        await asyncio.sleep(0.02)
    elapsed = later[-1].ended - first[0].began
    total = passed(first) + passed(later)
    assert total <= 5 + 10 * elapsed + 1
    assert total >= 5 + 10 * (later[-1].began - first[0].ended) - 2


async def test_a_leaky_bucket_lets_requests_out_at_a_constant_rate(edge: Limited) -> None:
    """Nine come at once: one leaves at once, five wait and leave 50 ms apart, three are refused."""
    await edge.start(limited("/*", limit("leaky-bucket", "20/s", burst=5)))
    answers = sorted(await edge.burst(9, at_once=9), key=lambda answer: answer.ended)
    out = [answer for answer in answers if answer.allowed]
    assert len(out) == 6
    spans = [after.ended - out[0].ended for after in out[1:]]
    for number, span in enumerate(spans, 1):
        assert span >= number * 0.05 - 0.02, spans


async def test_a_refusal_says_when_to_come_back(edge: Limited) -> None:
    """429 is problem details, with Retry-After, the X-RateLimit fields and the IETF's."""
    await edge.start(limited("/*", limit("fixed-window", "2/m")))
    if time.time() % 60 > 55:
        await clock(0.0, within=60)
    answers = await edge.burst(3)
    assert [answer.status for answer in answers] == [200, 200, 429]
    good, bad = answers[0].headers, answers[2].headers
    assert (good["x-ratelimit-limit"], good["x-ratelimit-remaining"]) == ("2", "1")
    assert good["ratelimit-policy"] == '"client-2/m";q=2;w=60'
    assert good["ratelimit"] == f'"client-2/m";r=1;t={good["x-ratelimit-reset"]}'
    assert "retry-after" not in good
    assert 1 <= int(bad["retry-after"]) <= 60
    assert bad["x-ratelimit-remaining"] == "0"
    assert bad["content-type"] == "application/problem+json"
    assert json.loads(answers[2].body)["status"] == 429


async def test_stacked_limits_count_all_or_nothing(edge: Limited) -> None:
    """What the small limit refuses takes nothing from the large one, and the fields name both."""
    small, large = limit("token-bucket", "1/h", "client", 3), limit("token-bucket", "1/h", "global", 10)
    await edge.start(limited("/a/*", small, large), limited("/b/*", large))
    answers = await edge.burst(8, "/a/x")
    assert passed(answers) == 3
    assert '"client-1/h";r=0' in answers[-1].headers["ratelimit"]
    assert '"global-1/h";r=7' in answers[-1].headers["ratelimit"]
    assert passed(await edge.burst(12, "/b/x")) == 10, "another route counts by itself"


async def test_the_gateways_limits_hold_for_all_routes_together(edge: Limited) -> None:
    """Six of ten over two routes; of the limits, the one of which least is left is shown."""
    await edge.start(
        limited("/a/*", limit("token-bucket", "1/h", "client", 4)),
        limited("/b/*"),
        common=(limit("token-bucket", "1/h", "client", 6),),
    )
    first = await edge.burst(6, "/a/x")
    assert passed(first) == 4
    assert first[0].headers["x-ratelimit-limit"] == "4"
    second = await edge.burst(4, "/b/x")
    assert passed(second) == 2
    assert second[0].headers["x-ratelimit-limit"] == "6"
    assert (await edge.get("/a/x")).status == 429


async def test_headers_count_by_their_value(edge: Limited) -> None:
    """Each tenant has its own count; a value of 8 kB or of odd characters is no way around, none is one too."""
    await edge.start(limited("/*", limit("token-bucket", "1/h", "header:X-Tenant", 2)))
    for tenant in ("one", "two", "x" * 8000, "* g", "%[src] a127.0.0.1"):
        assert passed(await edge.burst(4, X_Tenant=tenant)) == 2, tenant
    assert passed(await edge.burst(4)) == 2


async def test_endpoints_count_by_route_and_method(edge: Limited) -> None:
    """GET and DELETE each have a count; invented methods share one."""
    await edge.start(limited("/a/*", limit("token-bucket", "1/h", "endpoint", 2)))
    assert passed(await edge.burst(3, "/a/1")) == 2
    assert (await edge.get("/a/2", "DELETE")).status == 200
    assert [(await edge.get("/a/2", method)).status for method in ("MKCOL", "LOCK", "MOVE")] == [200, 200, 429]


async def test_threads_lose_no_count(edge: Limited) -> None:
    """Under load from many connections at once, each algorithm lets exactly the limit pass."""
    await edge.start(
        limited("/fixed/*", limit("fixed-window", "300/h", "global")),
        limited("/sliding/*", limit("sliding-counter", "300/h", "global")),
        limited("/token/*", limit("token-bucket", "1/h", "global", 300)),
        threads=4,
    )
    for name in ("fixed", "sliding", "token"):
        answers = await edge.burst(900, f"/{name}/x", at_once=32)
        assert passed(answers) == 300, name


@pytest.fixture
def introduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the guard: users and keys are who the request says, as the guard would have found."""

    def fragment(_: EdgeConfiguration) -> steps.Fragment:
        names = ("user", "key")
        return steps.Fragment(
            rules=tuple(
                f"http-request set-var(txn.{n}) req.fhdr(x-test-{n}) if {{ req.hdr(x-test-{n}) -m found }}"
                for n in names
            )
        )

    order = tuple(fragment if step is steps.guard.fragment else step for step in steps.ORDER)
    monkeypatch.setattr(steps, "ORDER", order)


async def test_users_and_keys_are_counted_by_name(edge: Limited, introduced: None) -> None:
    """Each has two, however long or oddly named; who shows nobody is counted by address."""
    await edge.start(
        limited("/user/*", limit("token-bucket", "1/h", "user", 2)),
        limited("/key/*", limit("token-bucket", "1/h", "key", 2)),
    )
    for name in ("ann", "a127.0.0.1", "x" * 500 + "1", "x" * 500 + "2", "ann b use=0 key=c"):
        assert passed(await edge.burst(3, "/user/x", X_Test_User=name)) == 2, name
        assert passed(await edge.burst(3, "/key/x", X_Test_Key=name)) == 2, name
    assert passed(await edge.burst(3, "/user/x")) == 2


async def test_limits_before_and_after_the_guard(edge: Limited, introduced: None) -> None:
    """What a limit by user refuses has counted by address, which was asked first; both are told."""
    limits = (limit("token-bucket", "1/h", "user", 1), limit("token-bucket", "1/h", "client", 5))
    await edge.start(limited("/*", *limits))
    answers = await edge.burst(7, X_Test_User="ann")
    assert [answer.status for answer in answers] == [200, 429, 429, 429, 429, 429, 429]
    assert '"user-1/h";r=0' in answers[1].headers["ratelimit"]
    assert '"client-1/h";r=3' in answers[1].headers["ratelimit"]
    assert "user" not in answers[6].headers["ratelimit"], "by then the address has used its own up"


async def test_a_service_does_not_speak_for_the_edge(harness: Harness, edge: Limited) -> None:
    """Its own fields of these names are dropped where the edge limits."""

    async def boast(_: web.Request) -> web.Response:
        return web.Response(headers={"RateLimit": '"mine";r=9', "X-RateLimit-Remaining": "9"})

    app = web.Application()
    app.router.add_get("/", boast)
    async with TestServer(app) as server:
        service = backend("a", Server("a-1", 1, "127.0.0.1", server.port or 0))
        route = limited("/*", limit("token-bucket", "1/h", "client", 2))
        await harness.edge.start(edge.configuration(service, route))
        answer = await edge.get()
    assert answer.headers["ratelimit"].startswith('"client-1/h";r=1')
    assert answer.headers["x-ratelimit-remaining"] == "1"
