"""Routes told apart by method, header and query, spread by weight, counted, limited in concurrency, rewritten."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest

from cloudlet.contracts.edge import Route, RouteStatistics
from cloudlet.edge.difference import How

from .asking import Answer, ask, request
from .conftest import Harness, backend
from .routes import route


async def _serve(harness: Harness, *routes: Route) -> None:
    """A backend of one server for each service that a route names."""
    names = {name for each in routes for name in (each.backend, *(name for name, _ in each.targets)) if name}
    backends = [backend(name, *await harness.servers(name, 1)) for name in sorted(names)]
    await harness.edge.start(harness.configuration(*backends, routes=routes))


async def _asked(
    harness: Harness, path: str, method: str = "GET", *lines: tuple[str, str], host: str = "shop.localhost"
) -> Answer:
    return (await ask(harness.port, [(method, request(path, host, method, lines))]))[0]


async def _who(harness: Harness, path: str, *lines: tuple[str, str], method: str = "GET") -> str:
    answer = await _asked(harness, path, method, *lines)
    assert answer.status == 200, answer
    return str(json.loads(answer.text)["name"]).removesuffix("-1")


async def test_versions_by_header_and_by_prefix(harness: Harness) -> None:
    """The route that asks for more wins; a header that is there twice, or says two things, has no value."""
    await _serve(
        harness,
        route("/orders/*", "one"),
        route("/orders/*", "two", match={"headers": {"X-Version": "2"}}),
        route("/orders/*", "beta", match={"headers": {"X-Version": "2"}, "query": {"beta": "any"}}),
        route("/v2/orders/*", "two"),
    )
    assert await _who(harness, "/orders/7") == "one"
    assert await _who(harness, "/v2/orders") == "two"
    assert await _who(harness, "/orders/7", ("x-version", "2")) == "two"
    assert await _who(harness, "/orders?a&beta", ("X-Version", "2")) == "beta"
    for lines in ([("X-Version", "1, 2")], [("X-Version", "2")] * 2, [("X-Version", "2"), ("X-Version", "1")]):
        assert await _who(harness, "/orders/7?beta", *lines) == "one"


async def test_a_query_is_read_as_services_read_it(harness: Harness) -> None:
    """Encoded or not, name and value; once; and never out of another parameter's value."""
    await _serve(harness, route("/*", "any"), route("/*", "admin", match={"query": {"is admin": "a&b=c"}}))
    for query in ("is+admin=a%26b=c", "%69s%20admin=%61%26%62%3dc", "x=1&is%20admin=a%26b%3Dc&y"):
        assert await _who(harness, f"/?{query}") == "admin", query
    for query in ("", "is+admin", "is+admin=a&b=c", "x=%26is+admin=a%26b=c", "is+admin=a%26b=c&is%20admin=x"):
        assert await _who(harness, f"/?{query}") == "any", query


async def test_a_wrong_method_is_told_the_right_ones(harness: Harness) -> None:
    """405 with Allow where host and path fit, 404 where they do not; GET takes HEAD."""
    await _serve(
        harness,
        route("/orders", "reading", methods=["GET"]),
        route("/orders", "writing", methods=["POST", "PUT"]),
        route("/orders/{id}", "reading", methods=["DELETE"], host="shop.localhost"),
        route("/orders/*", "writing", methods=["PATCH"]),
    )
    assert await _who(harness, "/orders") == "reading"
    assert await _who(harness, "/orders", method="PUT") == "writing"
    assert (await _asked(harness, "/orders", "HEAD")).status == 200
    refused = await _asked(harness, "/orders", "DELETE")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, POST, PUT, PATCH")
    assert json.loads(refused.text)["status"] == 405
    assert (await _asked(harness, "/orders/7", "GET")).headers["allow"] == "PATCH, DELETE"
    assert (await _asked(harness, "/orders/7", "BREW")).status == 405
    assert (await _asked(harness, "/nothing", "GET")).status == 404


async def test_a_preflight_goes_where_the_request_will(harness: Harness) -> None:
    """By the method that it asks about, where that route answers pages of other origins; else OPTIONS is a method."""
    cors = {"origins": ["https://page.example"], "methods": ["PUT"]}
    await _serve(
        harness,
        route("/x", "a", methods=["PUT"], cors=cors),
        route("/x", "b", methods=["POST"]),
        route("/*", "c", methods=["GET", "OPTIONS"]),
    )
    origin = ("Origin", "https://page.example")
    answer = await _asked(harness, "/x", "OPTIONS", origin, ("Access-Control-Request-Method", "PUT"))
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "PUT")
    for wanted in ("POST", "BREW"):
        answer = await _asked(harness, "/x", "OPTIONS", origin, ("Access-Control-Request-Method", wanted))
        assert json.loads(answer.text)["name"] == "c-1"
    assert json.loads((await _asked(harness, "/x", "OPTIONS")).text)["name"] == "c-1"


async def test_names_and_paths_that_look_like_our_own_words(harness: Harness) -> None:
    """What routes and requests are called can't be taken for a ladder, a shape, or HAProxy's syntax."""
    odd = "/~!&()+,;=:@-._/*"
    await _serve(
        harness,
        route(odd, "a"),
        route("/%7C0123456789abcdef", "b"),
        route("/s/%7B%7D", "b"),
        route("/s/{id}", "c", methods=["GET"]),
        route("/t/%7B%7D/{id}", "d", match={"headers": {"X-Odd": 'it\'s "100%" \\ $HOME #'}}),
        route("/t/*", "e"),
    )
    assert await _who(harness, f"{odd[:-1]}x") == "a"
    assert await _who(harness, "/%7C0123456789abcdef") == "b"
    assert await _who(harness, "/s/{}") == "b"
    assert await _who(harness, "/s/7") == "c"
    assert await _who(harness, "/t/{}/7") == "e"
    assert await _who(harness, "/t/{}/7", ("X-Odd", 'it\'s "100%" \\ $HOME #')) == "d"
    assert (await _asked(harness, "/s/")).status == 404
    assert (await _asked(harness, "/s/a%2Fb")).status == 404


# several services


async def test_weights_share_out_requests(harness: Harness) -> None:
    """Within five standard deviations; a weight of 0 gets none; each is counted."""
    await _serve(harness, route("/*", targets=[("a", 3), ("b", 1), ("none", 0)], name="split"))
    found = Counter([await harness.name() for _ in range(4)])  # the door is opened
    found.update(await harness.names(596))
    assert set(found) == {"a-1", "b-1"}
    assert abs(found["a-1"] - 450) < 5 * (600 * 0.75 * 0.25) ** 0.5
    counted = {item.variant: item.requests for item in await harness.edge.route_statistics()}
    assert counted == {"": 600, "a": found["a-1"], "b": found["b-1"]}


async def test_a_cookie_keeps_a_client_with_its_variant(harness: Harness) -> None:
    """Set once, private, and only a name that has a weight counts: forged and retired ones are as none."""
    split = route("/*", targets=[("a", 1), ("b", 1), ("gone", 0)], sticky={"cookie": "ab", "lifetime": "1h"})
    await _serve(harness, split)
    answer = await _asked(harness, "/")
    name = json.loads(answer.text)["name"].removesuffix("-1")
    assert answer.headers["set-cookie"] == f"ab={name}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"
    assert answer.headers["cache-control"] == "private"
    for wanted in ("a", "b"):
        answers = [await _asked(harness, "/", "GET", ("Cookie", f"x=y; ab={wanted}")) for _ in range(8)]
        assert {json.loads(each.text)["name"] for each in answers} == {f"{wanted}-1"}
        assert not any("set-cookie" in each.headers for each in answers)
    for forged in ("gone", "c", "a%20", "A", "a b", "cloudlet-door", ""):
        answer = await _asked(harness, "/", "GET", ("Cookie", f"ab={forged}"))
        assert json.loads(answer.text)["name"] in ("a-1", "b-1")
        assert answer.headers["set-cookie"].startswith(("ab=a;", "ab=b;")), forged


# counts and concurrency


async def test_requests_and_errors_are_counted_by_route(harness: Harness) -> None:
    """By the answer that the client got, on through a succession; what no route takes is nobody's."""
    routes = (route("/status/*", "a", name="codes"), route("/made", static={"status": 404}), route("/a=b/*", "a"))
    await _serve(harness, *routes)
    for path in ("/status/200", "/status/404", "/status/500", "/status/503", "/made", "/nothing", "/a=b/x?c d"):
        await _asked(harness, path.replace(" ", "%20"))
    by_label = {item.label: replace(item, rate=0) for item in await harness.edge.route_statistics()}
    codes = RouteStatistics("codes", requests=4, errors_4xx=1, errors_5xx=2)
    assert by_label == {
        "codes": codes,
        "/made": RouteStatistics("/made", requests=1, errors_4xx=1),
        "/a=b/*": RouteStatistics("/a=b/*", requests=1),
    }
    again = harness.configuration(backend("a", *await harness.servers("a", 1), timeout=9.0), routes=routes)
    assert (await harness.edge.apply(again)).how is How.SUCCESSION
    await _asked(harness, "/status/404")
    found = {item.label: replace(item, rate=0) for item in await harness.edge.route_statistics()}
    assert found["codes"] == replace(codes, requests=5, errors_4xx=2)


async def test_a_bulkhead_keeps_others_out(harness: Harness) -> None:
    """Above its concurrency a route answers 503 at once; others and its own next request are served."""
    await _serve(harness, route("/sleep/*", "a", concurrency=2), route("/*", "a"))
    slow = [asyncio.create_task(_asked(harness, "/sleep/0.4")) for _ in range(2)]
    await _until_at_once(harness, 2)
    full = await _asked(harness, "/sleep/0")
    assert (full.status, full.headers["retry-after"]) == (503, "1")
    assert await _who(harness, "/") == "a"
    assert [answer.status for answer in await asyncio.gather(*slow)] == [200, 200]
    assert (await _asked(harness, "/sleep/0")).status == 200


async def _until_at_once(harness: Harness, count: int) -> None:
    async with asyncio.timeout(5):
        while sum(upstream.at_once for upstream in harness.upstreams) < count:
            await asyncio.sleep(0.005)


# rewrites


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/shop/42/pen?a=1", "/items/pen/of/42?a=1"),
        ("/shop/a%2Eb/%C3%A9%20", "/items/%C3%A9%20/of/a.b"),
        ("/shop/%0b%01/%3fx%23y%26%25", "/items/%3Fx%23y%26%25/of/%0B%01"),
        ("/api/v1/a//b/c%3Bd?x", "/v1/a/b/c%3Bd?x"),
        ("/api", "/"),
        ("/api/%252e%252e/x", "/%252e%252e/x"),
        ("/q?debug=1&a=%26debug=2&DEBUG&debug", "/q?a=%26debug=2&DEBUG&from=a%20%26%20%C3%A9&id%3D=5%25"),
        ("/q?%64ebug=1&from=you&fr%6Fm=me", "/q?from=a%20%26%20%C3%A9&id%3D=5%25"),
        ("/q", "/q?from=a%20%26%20%C3%A9&id%3D=5%25"),
        ("/q?debugger=1&xdebug=2", "/q?debugger=1&xdebug=2&from=a%20%26%20%C3%A9&id%3D=5%25"),
        ("/only?secret=1", "/only"),
        ("/only?secret=1&b&secret", "/only?b"),
        ("/only", "/only"),
        ("/tenant/a%26admin=1", "/index?tenant=a%26admin%3D1"),
    ],
)
async def test_services_are_asked_for_another_path(rewriting: Harness, path: str, wanted: str) -> None:
    """What was matched is filled in, encoded for its new place; of the query only what is named changes."""
    assert json.loads((await _asked(rewriting, path)).text)["path"] == wanted


@pytest.fixture
async def rewriting(harness: Harness) -> Harness:
    query = {"remove": ["debug"], "set": {"from": "a & é", "id=": "5%"}}
    await _serve(
        harness,
        route("/shop/{id}/{item}", "a", rewrite="/items/{item}/of/{id}"),
        route("/api/*", "a", rewrite="/{rest}"),
        route("/q", "a", rewrite={"query": query}),
        route("/only", "a", rewrite={"query": {"remove": ["secret"]}}),
        route("/tenant/{name}", "a", rewrite={"path": "/index", "query": {"set": {"tenant": "{name}"}}}),
    )
    return harness


async def test_a_path_too_long_to_be_rewritten_is_refused(rewriting: Harness) -> None:
    """Rather than filled in empty."""
    assert (await _asked(rewriting, "/shop/" + "@" * 5000 + "/x")).status == 414
    assert (await _asked(rewriting, "/shop/" + "@" * 2500 + "/x")).status == 200
    assert (await _asked(rewriting, "/q?" + "%3D" * 2500)).status == 200


# changes


async def test_routes_change_without_a_wrong_moment(harness: Harness) -> None:
    """While routes are exchanged over the socket, every request is taken by the route before or the one after."""
    before = (route("/*", "a"), route("/x/y/*", "b"), route("/x/y/z", "c"), route("/only", "a", host="h.localhost"))
    after = (route("/*", "d"), route("/x/*", "e"), route("/x/{id}/z", "f"), route("/x/y/z", "c", host="h.localhost"))
    shaped = (*before, route("/s/{id}/z", "a"))
    names = {each.backend for each in (*before, *after)}
    backends = [backend(name, *await harness.servers(name, 1)) for name in sorted(names)]
    one, two = (harness.configuration(*backends, routes=routes) for routes in (shaped, after))
    await harness.edge.start(one)
    wanted = {"/x/y/z": {"c-1", "f-1"}, "/x/y/q": {"b-1", "e-1"}, "/q": {"a-1", "d-1"}}
    done = asyncio.Event()

    async def watch(path: str) -> Counter[str]:
        found: Counter[str] = Counter()
        while not done.is_set():
            found[await harness.name(path)] += 1
        return found

    watching = [asyncio.create_task(watch(path)) for path in wanted]
    for turn in range(14):
        assert (await harness.edge.apply(two if turn % 2 == 0 else one)).how is How.SOCKET
    done.set()
    for found, names in zip(await asyncio.gather(*watching), wanted.values(), strict=True):
        assert set(found) == names, found
