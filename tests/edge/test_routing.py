"""Which backend a request goes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.render import render
from cloudlet.edge.settings import EdgeSettings
from cloudlet.errors import InternalError

from . import raw
from .conftest import Harness, backend

_ROUTES = (
    Route("/*", "any"),
    Route("/a/*", "any-a"),
    Route("/a/b/*", "any-ab"),
    Route("/a/x", "any-exact"),
    Route("/a/*", "host-a", "Shop.Localhost"),
    Route("/exact", "host-exact", "shop.localhost"),
)
_CASES = [
    ("other.localhost", "/", "any"),
    ("other.localhost", "/abc", "any"),
    ("other.localhost", "/a", "any-a"),
    ("other.localhost", "/a/", "any-a"),
    ("other.localhost", "/a/b", "any-ab"),
    ("other.localhost", "/a/b/c/d", "any-ab"),
    ("other.localhost", "/a/bc", "any-a"),
    ("other.localhost", "/a/x", "any-exact"),
    ("other.localhost", "/a/x/y", "any-a"),
    ("shop.localhost", "/a/x", "host-a"),
    ("shop.localhost", "/a", "host-a"),
    ("SHOP.localhost.:8080", "/a/b/c", "host-a"),
    ("shop.localhost", "/exact", "host-exact"),
    ("shop.localhost", "/exact/more", "any"),
    ("shop.localhost", "/b", "any"),
    ("other.localhost", "/a?q=/a/b/", "any-a"),
    ("other.localhost", "/%61/%62/c", "any-ab"),
    ("other.localhost", "//a//b//c", "any-ab"),
]


async def test_the_specific_route_wins(harness: Harness) -> None:
    """Host before any host, exact before prefix, longer before shorter; a prefix takes whole segments only."""
    names = list(dict.fromkeys(route.backend for route in _ROUTES))
    backends = [backend(name, *await harness.servers(name, 1)) for name in names]
    await harness.start(*backends, routes=_ROUTES)
    for host, path, wanted in _CASES:
        status, answer = await raw.send(harness.port, raw.get(path, host=host))
        assert status == 200, (host, path, answer)
        assert f'"name": "{wanted}-1"'.encode() in answer, (host, path, wanted)
        assert f'"path": "{path}"'.encode() in answer, "the request goes on as it came"


_ENCODED_ROUTES = (
    Route("/*", "any"),
    Route("/caf%C3%A9/*", "cafe"),
    Route("/a%2Bb", "plus"),
    Route("/my%20files/*", "space"),
    Route("/100%25", "percent"),
    Route("/%E9", "latin"),
    Route("/%5C%22%27%23%3B", "signs"),
    Route("/x%2520y", "twice", "shop.localhost"),
    Route("/%2e%2e/%09/*", "never"),
)
_ENCODED = [
    ("/caf%c3%a9", "cafe"),
    ("/caf%C3%A9/menu", "cafe"),
    ("/a+b", "plus"),
    ("/a%2bb", "plus"),
    ("/a%252Bb", "any"),
    ("/my%20files/a%20b", "space"),
    ("/my%2520files/a", "any"),
    ("/100%25", "percent"),
    ("/100%2525", "any"),
    ("/%e9", "latin"),
    ("/%5c%22%27%23%3b", "signs"),
    ("/x%2520y", "twice"),
    ("/x%20y", "any"),
]


async def test_routes_with_encoded_paths_match(harness: Harness) -> None:
    """A route's path and a request's are compared decoded once, from the file and when changed while it runs."""
    names = list(dict.fromkeys(route.backend for route in _ENCODED_ROUTES))
    backends = [backend(name, *await harness.servers(name, 1)) for name in names]
    for routes in (_ENCODED_ROUTES, _ENCODED_ROUTES[:1], _ENCODED_ROUTES[::-1]):
        await harness.edge.start(harness.configuration(*backends, routes=routes))
        for path, wanted in _ENCODED:
            _, answer = await raw.send(harness.port, raw.get(path, host="shop.localhost"))
            wanted = wanted if len(routes) > 1 else "any"
            assert f'"name": "{wanted}-1"'.encode() in answer, (path, wanted, answer)


async def test_no_route_is_a_problem_in_json(harness: Harness) -> None:
    """404 says why, as problem details."""
    await harness.start(backend("a", *await harness.servers("a", 1)), routes=(Route("/a/*", "a"),))
    async with harness.client.get("/b") as answer:
        assert answer.status == 404
        assert answer.content_type == "application/problem+json"
        assert (await answer.json())["status"] == 404
        assert "x-request-id" in answer.headers


def test_a_route_to_nowhere_is_our_bug() -> None:
    """A route whose backend is not there is refused before HAProxy would answer 503 without a word."""
    settings = EdgeSettings(Path("/s"), Path("/h"), 100)
    with pytest.raises(InternalError, match="the route /x points at the backend nowhere"):
        render(EdgeConfiguration(routes=(Route("/x", "nowhere"),)), settings)
