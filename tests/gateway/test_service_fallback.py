"""What is answered when a service fails, by the real gateway service."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator

import pytest
from aiohttp import web as web_server

from .service import Gateway, Service, valkey
from .service import gateway as start

STATIC = {"status": 503, "body": '{"sorry": true}', "content_type": "application/json", "headers": {"X-Sorry": "1"}}
ROUTES = {
    "service": {"to": "web", "fallback": {"service": "other"}, "timeout": "200ms"},
    "cached": {"to": "web", "fallback": {"cached": "1h"}},
    "short": {"to": "web", "fallback": {"cached": "10ms"}},
    "static": {"to": "web", "fallback": {"static": STATIC}, "body": {"response": {"drop": ["sorry"]}}},
    "all": {"to": "web", "fallback": {"service": "other", "cached": "1h", "static": STATIC}},
    "keyed": {"to": "web", "idempotency": True, "fallback": {"static": {**STATIC, "status": 200}}},
    "changed": {"to": "web", "fallback": {"cached": "1h"}, "body": {"response": {"drop": ["secret"]}}},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with valkey(tmp_path_factory.mktemp("valkey")) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, web_port: int, other_port: int, store: tuple[str, object]
) -> Iterator[Gateway]:
    made = start(tmp_path_factory.mktemp("gateway"), ROUTES, store[0], web=web_port, other=other_port)
    yield made
    made.stop()


async def test_another_service_answers(gateway: Gateway, web: Service, other: Service) -> None:
    """On 5xx, when nobody is there, and when it takes too long; marked as what it is."""
    other.says({"from": "other"})
    held = asyncio.Event()

    async def hang(_: web_server.Request) -> web_server.Response:
        await held.wait()
        return web_server.Response()

    for fail in ("500", "hang", "gone"):
        if fail == "500":
            web.says({}, 500)
        elif fail == "hang":
            web.answer = hang
        else:
            held.set()
            await web.stop()
        said = await gateway.ask("/a%2fb?c", "PUT", label="service", body="x")
        assert (said.status, said.json(), said.headers["x-fallback"]) == (200, {"from": "other"}, "service")
    assert other.targets == ["/a%2fb?c"] * 3


async def test_the_body_goes_to_the_other_service_too(gateway: Gateway, web: Service, other: Service) -> None:
    """What the first has read is there for the second."""
    web.says({}, 500)
    assert (await gateway.ask("/", "PUT", label="service", body="all of it")).json()["body"] == "all of it"


async def test_what_must_not_be_repeated_is_not(gateway: Gateway, web: Service, other: Service) -> None:
    """A POST that failed fails: it may have had its effect."""
    web.says({}, 500)
    said = await gateway.ask("/", "POST", label="service", body="x")
    assert (said.status, other.targets, "x-fallback" in said.headers) == (500, [], False)


async def test_a_clients_mistake_is_no_failure(gateway: Gateway, web: Service, other: Service) -> None:
    """4xx is an answer."""
    web.says({}, 404)
    assert (await gateway.ask("/", label="all")).status == 404
    assert other.targets == []


async def test_the_last_good_answer_is_given_with_its_age(gateway: Gateway, web: Service) -> None:
    """Of just this path and query; marked."""
    web.says({"good": 1}, etag='"v"')
    await gateway.ask("/a?b=1", label="cached")
    web.says({}, 503)
    said = await gateway.ask("/a?b=1", label="cached")
    assert (said.status, said.json(), said.headers["x-fallback"]) == (200, {"good": 1}, "cached")
    assert int(said.headers["age"]) < 5 and said.headers["warning"].startswith("111")
    for target in ("/a", "/a?b=2", "/b?b=1"):
        assert (await gateway.ask(target, label="cached")).status == 503


async def test_an_old_answer_is_not_given(gateway: Gateway, web: Service) -> None:
    """What is older than the file allows is nothing."""
    web.says({"good": 1})
    await gateway.ask("/", label="short")
    web.says({}, 503)
    async with asyncio.timeout(5):
        while (await gateway.ask("/", label="short")).status != 503:
            await asyncio.sleep(0.005)


WHO = [
    {},
    {"Authorization": "Bearer ann"},
    {"Authorization": "Bearer bob"},
    {"Cookie": "s=ann"},
    {"X-Forwarded-User": "ann"},
    {"X-Forwarded-User": "ann", "X-Forwarded-Roles": "admin"},
    {"X-Api-Key": "k1"},
    {"X-Tenant": "t1"},
    {"Accept": "text/html"},
]


async def test_nobody_gets_anothers_answer(gateway: Gateway, web: Service) -> None:
    """Whatever a service may know its clients by, each gets its own last answer or none."""
    for number, who in enumerate(WHO):
        web.says({"for": number})
        assert (await gateway.ask("/mine", label="cached", headers=who)).json() == {"for": number}
    web.says({}, 503)
    for number, who in enumerate(WHO):
        assert (await gateway.ask("/mine", label="cached", headers=who)).json() == {"for": number}
    stranger = {"Authorization": "Bearer eve"}
    assert (await gateway.ask("/mine", label="cached", headers=stranger)).status == 503


async def test_vary_is_heeded(gateway: Gateway, web: Service) -> None:
    """What the answer says it depends on must be the same."""
    web.says({"in": "de"}, vary="Accept-Language")
    await gateway.ask("/v", label="cached", headers={"Accept-Language": "de"})
    web.says({}, 503)
    assert (await gateway.ask("/v", label="cached", headers={"Accept-Language": "de"})).status == 200
    assert (await gateway.ask("/v", label="cached", headers={"Accept-Language": "en"})).status == 503


@pytest.mark.parametrize(
    "headers", [{"cache_control": "no-store"}, {"set_cookie": "a=1"}, {"vary": "*"}, {"cache_control": "private"}]
)
async def test_what_may_not_be_kept_is_not(gateway: Gateway, web: Service, headers: dict[str, str]) -> None:
    """What forbids it, sets a cookie, depends on everything, or is private of nobody known."""
    web.says({}, **headers)
    target = "/" + "-".join(headers.values()).replace("*", "star")
    await gateway.ask(target, label="cached")
    web.says({}, 503)
    assert (await gateway.ask(target, label="cached")).status == 503


async def test_the_written_answer_is_given_as_it_is_written(gateway: Gateway, web: Service) -> None:
    """To every method, past the changes of bodies."""
    web.says({}, 500)
    for method in ("GET", "POST"):
        said = await gateway.ask("/", method, label="static", body="x" if method == "POST" else None)
        assert (said.status, said.json(), said.headers["x-sorry"]) == (503, {"sorry": True}, "1")
        assert said.headers["x-fallback"] == "static"
    await web.stop()
    assert (await gateway.ask("/", label="static")).headers["x-fallback"] == "static"


async def test_the_order_is_service_cached_static(gateway: Gateway, web: Service, other: Service) -> None:
    """Each when the one before has nothing to give."""
    web.says({"from": "web"})
    await gateway.ask("/", label="all")
    web.says({}, 500)
    other.says({"from": "other"})
    assert (await gateway.ask("/", label="all")).headers["x-fallback"] == "service"
    other.says({}, 502)
    cached = await gateway.ask("/", label="all")
    assert (cached.headers["x-fallback"], cached.json()) == ("cached", {"from": "web"})
    assert (await gateway.ask("/new", label="all")).headers["x-fallback"] == "static"


async def test_a_substitute_is_not_kept_as_the_first_answer(gateway: Gateway, web: Service) -> None:
    """A key whose request failed is free: the next one is carried out."""
    key = {"Idempotency-Key": "substitute"}
    web.says({}, 500)
    assert (await gateway.ask("/", "POST", label="keyed", body="x", headers=key)).status == 200
    web.says({"done": True})
    assert (await gateway.ask("/", "POST", label="keyed", body="x", headers=key)).json() == {"done": True}


async def test_the_last_answer_is_changed_like_any_other(gateway: Gateway, web: Service) -> None:
    """What is dropped from answers is dropped from kept ones."""
    web.says({"secret": 1, "a": 2})
    await gateway.ask("/c", label="changed")
    web.says({}, 500)
    assert (await gateway.ask("/c", label="changed")).json() == {"a": 2}
