"""Aggregation, views and changed bodies, by the real gateway service and real services."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import web as web_server

from .service import Gateway, Service
from .service import gateway as start

CALLS = {
    "order": {"to": "web", "path": "/orders/{id}?{query}", "required": True},
    "customer": {"to": "other", "path": "/customers/{query:customer}", "timeout": "150ms"},
}
ANSWER = {"id": "{path:id}", "order": "{order}", "total": "{order.total}", "who": "Dear {customer.name}!", "n": 1}
CHANGES = {
    "request": {"rename": {"user": "user_id"}, "add": {"source": "web"}, "drop": ["admin"]},
    "response": {"drop": ["secret", "items.cost"]},
}
ROUTES: dict[str, dict[str, Any]] = {
    "aggregate": {"path": "/order/{id}", "aggregate": {"calls": CALLS, "answer": ANSWER}},
    "plain": {
        "path": "/both",
        "aggregate": {"calls": {"a": {"to": "web", "path": "/a"}, "b": {"to": "other", "path": "/b"}}},
    },
    "bodies": {"to": "web", "body": CHANGES},
    "views": {
        "to": "web",
        "views": {
            "phone": {"device": "mobile", "response": {"keep": ["id"]}},
            "partner": {"header": {"X-Partner": "any"}, "response": {"drop": ["price"]}},
        },
    },
}
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, web_port: int, other_port: int) -> Iterator[Gateway]:
    made = start(tmp_path_factory.mktemp("gateway"), ROUTES, web=web_port, other=other_port)
    yield made
    made.stop()


async def test_an_aggregate_is_put_together(gateway: Gateway, web: Service, other: Service) -> None:
    """The template is filled in from both services; the client's headers went to each."""
    seen: list[str] = []

    async def answer(request: web_server.Request) -> web_server.Response:
        seen.append(request.headers["Authorization"] + request.headers["Accept-Encoding"])
        return web_server.json_response({"total": 12345678901234567890, "price": 1})

    web.answer = answer
    other.says({"name": "Ann"})
    headers = {"Authorization": "Bearer t", "If-None-Match": '"x"'}
    said = await gateway.ask("/order/a%20b?customer=5&x=%2f", label="aggregate", headers=headers)
    total = 12345678901234567890
    expected = {"id": "a b", "order": {"total": total, "price": 1}, "total": total, "who": "Dear Ann!", "n": 1}
    assert (said.status, said.json()) == (200, expected)
    assert "x-partial" not in said.headers and said.headers["content-type"] == "application/json"
    assert web.targets == ["/orders/a%20b?customer=5&x=%2f"]
    assert (other.targets, seen) == (["/customers/5"], ["Bearer tidentity"])


async def test_calls_run_side_by_side(gateway: Gateway, web: Service, other: Service) -> None:
    """Neither waits for the other to be answered."""
    both = asyncio.Barrier(2)

    async def answer(_: web_server.Request) -> web_server.Response:
        await both.wait()
        return web_server.json_response(1)

    web.answer = other.answer = answer
    assert (await gateway.ask("/both", label="plain")).json() == {"a": 1, "b": 1}


async def test_a_call_that_hangs_makes_the_answer_partial_in_its_time(
    gateway: Gateway, web: Service, other: Service
) -> None:
    """null, named with its reason, not to be kept by caches, and not later than its deadline."""
    held = asyncio.Event()

    async def hang(_: web_server.Request) -> web_server.Response:
        await held.wait()
        return web_server.Response()

    web.says({"total": 1}, cache_control="max-age=60")
    other.answer = hang
    begun = time.monotonic()
    said = await gateway.ask("/order/1", label="aggregate")
    held.set()
    assert time.monotonic() - begun < 2
    assert (said.status, said.json()["who"], said.json()["total"]) == (200, "Dear !", 1)
    assert (said.headers["x-partial"], said.headers["cache-control"]) == ("customer;reason=timeout", "no-store")


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (404, "{}", "application/json", "status-404"),
        (500, "oops", "text/plain", "status-500"),
        (200, "<html>", "text/html", "not-json"),
        (200, '{"name": ', "application/json", "broken"),
        (302, "", "text/plain", "status-302"),
    ],
)
async def test_every_failure_has_its_reason(
    gateway: Gateway, web: Service, other: Service, status: int, body: str, kind: str, reason: str
) -> None:
    """What the service answered is told, what it said is not passed on."""
    web.says({"total": 1})
    other.says(body, status, content_type=kind)
    said = await gateway.ask("/order/1", label="aggregate")
    assert (said.status, said.headers["x-partial"]) == (200, f"customer;reason={reason}")


@pytest.mark.parametrize(("status", "answered"), [(404, 404), (403, 403), (500, 502), (400, 400), (429, 429)])
async def test_without_a_required_call_there_is_no_answer(
    gateway: Gateway, web: Service, other: Service, status: int, answered: int
) -> None:
    """What is about the thing asked for keeps its status; anything else is 502."""
    web.says({}, status)
    other.says({})
    said = await gateway.ask("/order/1", label="aggregate")
    assert (said.status, said.headers["content-type"]) == (answered, "application/problem+json")


async def test_when_every_call_fails_so_does_the_answer(gateway: Gateway, web: Service, other: Service) -> None:
    """An answer of nulls alone would say nothing; one that is there is enough."""
    web.says({}, 503)
    other.says({}, 404)
    assert (await gateway.ask("/both", label="plain")).status == 502
    other.says({"x": 1})
    said = await gateway.ask("/both", label="plain")
    assert (said.status, said.json()) == (200, {"a": None, "b": {"x": 1}})


@pytest.mark.parametrize(
    "value", ["..%2fadmin", "%2e%2e", "..%5cadmin", "a%2f..%2fb", "%252e%252e", "a%00", "%ff", "a%0d"]
)
async def test_a_parameter_never_leads_to_another_path(
    gateway: Gateway, web: Service, other: Service, value: str
) -> None:
    """Neither encoded once nor twice; the service is not even asked."""
    said = await gateway.ask(f"/order/{value}", label="aggregate")
    assert (said.problem, web.targets, other.targets) == ("400 malformed", [], [])


async def test_a_parameter_of_the_query_is_one_segment(gateway: Gateway, web: Service, other: Service) -> None:
    """Its slashes and questions are encoded, and stay data."""
    web.says({})
    other.says({"name": "x"})
    await gateway.ask("/order/1?customer=a%2f..%2fadmin%3fb", label="aggregate")
    assert other.targets == ["/customers/a%2F..%2Fadmin%3Fb"]


async def test_aggregates_are_only_read(gateway: Gateway, web: Service, other: Service) -> None:
    """A POST is refused; HEAD is a GET without its body."""
    said = await gateway.ask("/order/1", "POST", label="aggregate", body="x")
    assert (said.status, said.headers["allow"], web.targets) == (405, "GET, HEAD", [])
    web.says({"total": 1})
    other.says({"name": "x"})
    assert (await gateway.ask("/order/1", "HEAD", label="aggregate")).status == 200


async def test_how_long_the_whole_may_be_kept(gateway: Gateway, web: Service, other: Service) -> None:
    """As the strictest of its parts, and for no client but those that they would all be the same for."""
    web.says({}, cache_control="public, max-age=60", vary="Accept-Language")
    other.says({}, cache_control="max-age=5")
    said = await gateway.ask("/both", label="plain")
    assert (said.headers["cache-control"], said.headers["vary"]) == ("max-age=5", "Accept-Language")
    other.says({}, cache_control="private, max-age=5")
    assert (await gateway.ask("/both", label="plain")).headers["cache-control"] == "no-store"


async def test_bodies_change_on_their_way(gateway: Gateway, web: Service) -> None:
    """There and back, with lengths that fit and a validator that says what it is now."""
    got = b""

    async def answer(request: web_server.Request) -> web_server.Response:
        nonlocal got
        got = await request.read()
        assert request.content_length == len(got)
        body = '{"id":1.50,"secret":"x","items":[{"cost":1,"name":"é"}]}'
        return web_server.Response(text=body, content_type="application/json", headers={"etag": '"v1"'})

    web.answer = answer
    said = await gateway.ask("/", "POST", label="bodies", json={"user": 1, "admin": True})
    assert got == b'{"user_id":1,"source":"web"}'
    assert said.body.decode() == '{"id":1.50,"items":[{"name":"é"}]}'
    assert said.headers["etag"] == 'W/"v1"'


async def test_what_is_no_json_passes_untouched(gateway: Gateway, web: Service) -> None:
    """Both ways, byte by byte."""

    async def answer(request: web_server.Request) -> web_server.Response:
        return web_server.Response(body=await request.read(), content_type="text/plain", headers={"etag": '"v"'})

    web.answer = answer
    headers = {"Content-Type": "text/plain"}
    said = await gateway.ask("/", "POST", label="bodies", body=b'{"secret" : 1}', headers=headers)
    assert (said.body, said.headers["etag"]) == (b'{"secret" : 1}', '"v"')


async def test_json_that_does_not_quite_say_so_gets_no_further(gateway: Gateway, web: Service) -> None:
    """A service may read as JSON what we would have passed untouched."""
    for kinds in ("application/json, text/plain", "text/plain,application/json", ""):
        headers = {"Content-Type": kinds}
        said = await gateway.ask("/", "POST", label="bodies", body=b'{"admin": 1}', headers=headers)
        assert (said.problem, web.targets) == ("415 content-type", []), kinds


async def test_nothing_dropped_gets_out_in_disguise(gateway: Gateway, web: Service) -> None:
    """Compressed although nobody asked, or broken: it is undone, or goes no further."""

    async def answer(request: web_server.Request) -> web_server.Response:
        assert request.headers["Accept-Encoding"] == "identity" and "Range" not in request.headers
        headers = {"content-encoding": request.path[1:], "content-type": "application/json"}
        return web_server.Response(body=gzip.compress(b'{"secret":1,"a":2}'), headers=headers)

    web.answer = answer
    headers = {"Accept-Encoding": "gzip, br", "Range": "bytes=0-5"}
    said = await gateway.ask("/gzip", label="bodies", headers=headers)
    assert (said.json(), "content-encoding" in said.headers) == ({"a": 2}, False)
    assert (await gateway.ask("/br", label="bodies")).status == 502
    web.says('{"secret": 1')
    said = await gateway.ask("/", label="bodies")
    assert said.status == 502 and b"secret" not in said.body


async def test_a_bomb_of_zeros_is_not_unpacked(gateway: Gateway, web: Service) -> None:
    """100 MB in 100 kB end at the bound."""
    body = gzip.compress(b"[" + b" " * 100_000_000 + b"]", 9)

    async def answer(_: web_server.Request) -> web_server.Response:
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        return web_server.Response(body=body, headers=headers)

    web.answer = answer
    assert (await gateway.ask("/", label="bodies")).status == 502


async def large() -> AsyncIterator[bytes]:
    for _ in range(101):
        yield b"x" * 100_000


async def test_bodies_too_large_to_look_into_are_refused(gateway: Gateway, web: Service) -> None:
    """413 before the service is asked; 502 when it is the service's answer."""
    headers = {"Content-Type": "application/json"}
    said = await gateway.ask("/", "POST", label="bodies", body=large(), headers=headers)
    assert (said.problem, web.targets) == ("413 body-size", [])
    web.says('"' + "x" * 10_000_001 + '"')
    assert (await gateway.ask("/", label="bodies")).status == 502


async def test_views_by_device_and_by_header(gateway: Gateway, web: Service) -> None:
    """The first that holds is taken; caches are told by what."""
    web.says({"id": 1, "price": 2, "name": "x"}, vary="Accept")
    phone = await gateway.ask("/", label="views", headers={"User-Agent": PHONE, "X-Partner": "p"})
    assert (phone.json(), phone.headers["x-view"]) == ({"id": 1}, "phone")
    partner = await gateway.ask("/", label="views", headers={"User-Agent": "x", "X-Partner": "p"})
    assert (partner.json(), partner.headers["x-view"]) == ({"id": 1, "name": "x"}, "partner")
    whole = await gateway.ask("/", label="views", headers={"User-Agent": "x"})
    assert (whole.json(), "x-view" in whole.headers) == ({"id": 1, "price": 2, "name": "x"}, False)
    for said in (phone, partner, whole):
        varies = {name.strip() for value in said.headers.getall("vary") for name in value.split(",")}
        assert varies == {"Accept", "User-Agent", "Sec-CH-UA-Mobile", "X-Partner"}
