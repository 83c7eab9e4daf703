"""Answers kept at the edge: what is shared, and everything that must not be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from .conftest import Harness, until
from .shaped import log_lines, route, start_told
from .told import Told


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    made = await Told().start()
    yield made
    await made.stop()


async def _ask(harness: Harness, path: str, method: str = "GET", **headers: str) -> tuple[str, dict[str, str]]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with harness.client.request(method, path, headers=sent) as answer:
        return await answer.text(), {name.lower(): value for name, value in answer.headers.items()}


async def test_an_answer_is_given_again(harness: Harness, told: Told) -> None:
    """The service is asked once; the second answer tells its age, and nothing of how it was kept."""
    await start_told(harness, told, route(cache="10s"))
    first, headers = await _ask(harness, "/a")
    second, again = await _ask(harness, "/a")
    assert (first, second, told.asked) == ("1", "1", {"/a": 1})
    assert "age" in again
    assert "cache-control" not in headers
    assert "cache-control" not in again


async def test_query_and_host_belong_to_the_key(harness: Harness, told: Told) -> None:
    """Another query or host is another answer."""
    await start_told(harness, told, route(cache="10s"))
    assert [(await _ask(harness, f"/a?x={n}"))[0] for n in (1, 2, 1)] == ["1", "2", "1"]
    assert (await _ask(harness, "/a?x=1", Host="other.localhost"))[0] == "3"


async def test_it_becomes_stale(harness: Harness, told: Told) -> None:
    """The service's own shorter time counts."""
    await start_told(harness, told, route(cache="60s"))
    path = "/a?" + urlencode({"header": "Cache-Control:max-age=1"})
    assert [(await _ask(harness, path))[0] for _ in range(2)] == ["1", "1"]

    async def asked_anew() -> bool:
        return (await _ask(harness, path))[0] != "1"

    while not await asked_anew():
        pass
    assert told.asked["/a"] == 2


_PRIVATE = {
    "a cookie is set": ("Set-Cookie:session=secret", {}),
    "private": ("Cache-Control:private", {}),
    "private, but for how long": ("Cache-Control:private, max-age=60", {}),
    "private beside public": ("Cache-Control:private, public, max-age=60", {}),
    "a private field": ('Cache-Control:private="x-user", max-age=60', {}),
    "no-store in capitals": ("Cache-Control:No-Store", {}),
    "no-cache": ("Cache-Control:no-cache", {}),
    "pragma": ("Pragma:no-cache", {}),
    "it varies by cookie": ("Vary:Cookie", {}),
    "it varies by anything": ("Vary:*", {}),
    "the request has a token": ("X-Nothing:1", {"Authorization": "Bearer secret"}),
    "the request has a token, and the answer is public": (
        "Cache-Control:public, max-age=60",
        {"Authorization": "Bearer secret"},
    ),
    "the request has a cookie": ("X-Nothing:1", {"Cookie": "session=secret"}),
    "the request says no-store": ("X-Nothing:1", {"Cache-Control": "no-store"}),
}


@pytest.mark.parametrize("what", _PRIVATE)
async def test_what_is_private_is_not_kept(harness: Harness, told: Told, what: str) -> None:
    """The next one to ask, who shows nothing, gets an answer of their own."""
    await start_told(harness, told, route(cache="10s"))
    answered, sent = _PRIVATE[what]
    path = "/a?" + urlencode({"header": answered})
    assert (await _ask(harness, path, **sent))[0] == "1"
    assert (await _ask(harness, path))[0] == "2"


@pytest.mark.parametrize("status", ["404", "500", "302"])
async def test_only_good_answers_are_kept(harness: Harness, told: Told, status: str) -> None:
    """An error or redirect is asked for anew."""
    await start_told(harness, told, route(cache="10s"))
    for _ in range(2):
        async with harness.client.get(f"/a?status={status}", allow_redirects=False):
            pass
    assert told.asked["/a"] == 2


async def test_who_shows_an_identity_gets_no_shared_answer(harness: Harness, told: Told) -> None:
    """What is kept for strangers does not answer a request with a token or a cookie."""
    await start_told(harness, told, route(cache="10s"))
    await _ask(harness, "/a")
    assert (await _ask(harness, "/a", Authorization="Bearer x"))[0] == "2"
    assert (await _ask(harness, "/a", Cookie="session=x"))[0] == "3"
    assert (await _ask(harness, "/a"))[0] == "1"


async def test_cookies_do_not_count_where_the_file_says_so(harness: Harness, told: Told) -> None:
    """`cookies: true` is for services that never look at them; a token still counts."""
    await start_told(harness, told, route(cache={"fresh": "10s", "cookies": "true"}))
    assert [(await _ask(harness, "/a", Cookie=f"visit={n}"))[0] for n in (1, 2)] == ["1", "1"]
    assert (await _ask(harness, "/a", Authorization="Bearer x"))[0] == "2"


async def test_a_change_takes_the_answer_out(harness: Harness, told: Told) -> None:
    """A POST reaches the service, and the next GET too; one that failed changes nothing."""
    await start_told(harness, told, route(cache="10s"))
    await _ask(harness, "/a")
    assert (await _ask(harness, "/a", "POST", Cookie="session=x"))[0] == "2"
    assert (await _ask(harness, "/a"))[0] == "3"
    await _ask(harness, "/b?status=200")
    async with harness.client.post("/b?status=500"):
        pass
    assert (await _ask(harness, "/b?status=200"))[0] == "1"


async def test_head_is_answered_from_what_is_kept(harness: Harness, told: Told) -> None:
    """With the length of the answer, and no body."""
    await start_told(harness, told, route(cache="10s"))
    await _ask(harness, "/a")
    text, headers = await _ask(harness, "/a", "HEAD")
    assert (text, headers["content-length"], told.asked) == ("", "1", {"/a": 1})


async def test_a_large_answer_passes_and_is_not_kept(harness: Harness, told: Told) -> None:
    """1 MB is the most that is kept."""
    await start_told(harness, told, route(cache="10s"))
    for _ in range(2):
        text, _ = await _ask(harness, "/a?size=2000000")
        assert len(text) > 2_000_000
    assert told.asked["/a"] == 2


async def test_other_routes_are_left_alone(harness: Harness, told: Told) -> None:
    """Only where the file says `cache`."""
    await start_told(harness, told, route("/kept/*", cache="10s"), route())
    for _ in range(2):
        await _ask(harness, "/kept/a")
        await _ask(harness, "/b?" + urlencode({"header": "Cache-Control:public, max-age=60"}))
    assert told.asked == {"/kept/a": 1, "/b": 2}


async def test_routes_of_one_url_share_nothing(harness: Harness, told: Told) -> None:
    """Two versions of an API by header are two answers."""
    match = {"headers": {"X-Version": "2"}}
    await start_told(harness, told, route(name="new", match=match, cache="10s"), route(name="old", cache="10s"))
    assert (await _ask(harness, "/a"))[0] == "1"
    assert (await _ask(harness, "/a", X_Version="2"))[0] == "2"
    assert (await _ask(harness, "/a"))[0] == "1"


async def test_a_kept_answer_is_logged_too(harness: Harness, told: Told) -> None:
    """Also where the service has one instance only, whose requests are logged behind the door."""
    from .conftest import backend
    from .shaped import shaped

    only = backend("a", told.server("a-1"))
    await harness.edge.start(shaped(harness, only, routes=(route(cache="10s"),), log=(1.0, 1.0)))
    for _ in range(3):
        await _ask(harness, "/a")
    await until(lambda: len(log_lines(harness)) == 3)
    assert [line["server"] for line in log_lines(harness)].count("<CACHE>") == 2
