"""Cross-origin requests: who may, who may not, and what a browser is told on every answer."""

from __future__ import annotations

import pytest

from . import raw
from .conftest import Harness
from .shaped import route, start

_SHOP = {"origins": ["https://shop.example", "https://*.shop.example"], "credentials": True, "expose": ["X-Total"]}


def _preflight(origin: str, method: str = "PUT", headers: str | None = None) -> dict[str, str]:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return asked | ({"Access-Control-Request-Headers": headers} if headers is not None else {})


async def test_a_preflight_is_answered_at_the_edge(harness: Harness) -> None:
    """204 with what is allowed, and no instance sees it."""
    await start(harness, route(cors=_SHOP))
    asked = _preflight("https://shop.example", headers="content-type, authorization")
    async with harness.client.options("/orders", headers=asked) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
        assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type, Authorization"
        assert answer.headers["Access-Control-Max-Age"] == "600"
        assert "Origin" in answer.headers.getall("Vary")
    assert sum(upstream.requests for upstream in harness.upstreams) == 0


@pytest.mark.parametrize(
    "asked",
    [
        _preflight("https://evil.example"),
        _preflight("null"),
        _preflight("https://shop.example", "TRACE"),
        _preflight("https://shop.example", headers="content-type, x-admin"),
        _preflight("https://shop.example", headers="content-type" + ",x" * 500),
    ],
    ids=["origin", "null", "method", "header", "many headers"],
)
async def test_a_preflight_for_what_is_not_allowed_is_refused(harness: Harness, asked: dict[str, str]) -> None:
    """403, and no instance sees it."""
    await start(harness, route(cors=_SHOP))
    async with harness.client.options("/orders", headers=asked) as answer:
        assert answer.status == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "Access-Control-Allow-Methods" not in answer.headers
    assert sum(upstream.requests for upstream in harness.upstreams) == 0


async def test_an_options_request_that_is_no_preflight_goes_to_the_service(harness: Harness) -> None:
    """Without `Access-Control-Request-Method` it asks the service itself."""
    await start(harness, route(cors=_SHOP))
    async with harness.client.options("/orders", headers={"Origin": "https://shop.example"}) as answer:
        assert answer.status == 200
    assert sum(upstream.requests for upstream in harness.upstreams) == 1


_ORIGINS = {
    "https://shop.example": True,
    "https://www.shop.example": True,
    "https://a.b.shop.example": True,
    "http://shop.example": False,
    "https://evilshop.example": False,
    "https://x.shop.example.evil": False,
    "https://shop.example.evil": False,
    "https://.shop.example": False,
    "https://x.shop.example:8443": False,
    "https://evil.example/.shop.example": False,
    "https://x.shopXexample": False,
    "null": False,
    "": False,
}


async def test_origins_are_told_apart(harness: Harness) -> None:
    """An origin is allowed as it is, or as a host below a named one: no look-alike is."""
    await start(harness, route(cors=_SHOP))
    for origin, allowed in _ORIGINS.items():
        async with harness.client.get("/", headers={"Origin": origin}) as answer:
            assert answer.status == 200
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None), origin
            assert ("Access-Control-Allow-Credentials" in answer.headers) == allowed
            assert "Origin" in answer.headers.getall("Vary"), "a cache must keep them apart"


async def test_two_origins_are_none(harness: Harness) -> None:
    """A good one beside a bad one lets neither through."""
    await start(harness, route(cors=_SHOP))
    request = raw.get("/", "Origin: https://shop.example", "Origin: https://evil.example")
    _, answer = await raw.send(harness.port, request)
    assert b"access-control-allow-origin" not in answer.lower()


async def test_every_origin(harness: Harness) -> None:
    """`*` is said as it is; `null` gets nothing even then."""
    await start(harness, route(cors={"origins": "*", "headers": ["*"]}))
    async with harness.client.get("/", headers={"Origin": "https://any.example"}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    async with harness.client.get("/", headers={"Origin": "null"}) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers
    async with harness.client.options("/", headers=_preflight("https://a.example", headers="x-any")) as answer:
        assert answer.headers["Access-Control-Allow-Headers"] == "*, Authorization"


async def test_a_service_own_headers_are_replaced(harness: Harness) -> None:
    """Two values of Allow-Origin would be none to a browser, and a service's `*` is not what the file says."""
    changes = {"set": {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Private-Network": "true"}}
    await start(harness, route(cors=_SHOP, headers={"response": changes}))
    async with harness.client.get("/", headers={"Origin": "https://evil.example"}) as answer:
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    async with harness.client.get("/", headers={"Origin": "https://shop.example"}) as answer:
        assert answer.headers.getall("Access-Control-Allow-Origin") == ["https://shop.example"]
        assert answer.headers["Access-Control-Expose-Headers"] == "X-Total"


async def test_a_refusal_by_the_edge_tells_the_page_too(harness: Harness) -> None:
    """A page may read why it was refused: 400 of a missing header carries the headers."""
    await start(harness, route(cors=_SHOP, accept={"headers": ["X-Tenant"]}))
    async with harness.client.get("/", headers={"Origin": "https://shop.example"}) as answer:
        assert answer.status == 400
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"


async def test_a_preflight_comes_before_credentials_and_shape(harness: Harness) -> None:
    """Browsers send neither tokens nor other headers with it."""
    await start(harness, route(cors=_SHOP, accept={"headers": ["X-Tenant"]}))
    async with harness.client.options("/", headers=_preflight("https://shop.example")) as answer:
        assert answer.status == 204


async def test_the_route_wins_over_the_gateway(harness: Harness) -> None:
    """What the gateway allows everywhere, a route may narrow."""
    own = route("/own/*", cors={"origins": "https://own.example"})
    await start(harness, own, route(), cors={"origins": "https://all.example"})
    seen = {}
    for path in ("/own/x", "/other"):
        for origin in ("https://own.example", "https://all.example"):
            async with harness.client.get(path, headers={"Origin": origin}) as answer:
                seen[path, origin] = answer.headers.get("Access-Control-Allow-Origin")
    assert seen == {
        ("/own/x", "https://own.example"): "https://own.example",
        ("/own/x", "https://all.example"): None,
        ("/other", "https://own.example"): None,
        ("/other", "https://all.example"): "https://all.example",
    }


async def test_a_preflight_finds_the_route_of_the_method_it_asks_for(harness: Harness) -> None:
    """A route that takes POST only still answers for POST, though the preflight's own method is OPTIONS."""
    await start(harness, route("/x", methods=["POST"], cors=_SHOP))
    async with harness.client.options("/x", headers=_preflight("https://shop.example", "POST")) as answer:
        assert answer.status == 204


async def test_a_limit_tells_the_page_too(harness: Harness) -> None:
    """A 429 carries the headers, whether the limit counts addresses or anything else."""
    limits = [{"rate": "1/m", "per": "client", "algorithm": "fixed-window"}]
    await start(harness, route(cors=_SHOP, rate_limits=limits))
    statuses = []
    for _ in range(2):
        async with harness.client.get("/", headers={"Origin": "https://shop.example"}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            statuses.append(answer.status)
    assert statuses == [200, 429]
