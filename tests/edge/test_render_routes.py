"""What routes come to in HAProxy's words, held by a golden file; and that it does not grow where it should not.

Write it anew with `CLOUDLET_GOLDEN=write pytest tests/edge/test_render_routes.py`, and read the difference.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from cloudlet.contracts.edge import Backend, EdgeConfiguration, Listener, Route
from cloudlet.edge.difference import difference, exchanges
from cloudlet.edge.render import live_maps, render
from cloudlet.edge.settings import EdgeSettings
from cloudlet.edge.steps.routing import fragment

from .routes import route

_GOLDEN = Path(__file__).parent / "golden" / "routes.txt"
_SETTINGS = EdgeSettings(Path("/run/7.sock"), Path("/run/door.sock"), 20_000)
_ROUTES = (
    route("/orders", "a", methods=["GET", "POST"]),
    route("/orders", "b", methods=["PUT"]),
    route("/orders/{id}", "a", methods=["GET"], match={"headers": {"X-Version": "2"}}),
    route("/orders/{id}/*", "b", match={"query": {"beta": "any", "v": "1 &"}}),
    route("/orders/*", "a", concurrency=10, rewrite={"path": "/v1/{rest}", "query": {"remove": ["v"]}}),
    route("/*", targets=[("a", 9), ("b", 1)], name="split", sticky={"cookie": "ab"}),
    route("/old/{id}", redirect="/orders/{id}?{query}", host="shop.localhost"),
    route("/robots.txt", static={"body": "User-agent: *\n"}),
    route("/closed/*", "a", maintenance={"retry_after": 30, "body": "closed"}),
)


def _configuration(*routes: Route) -> EdgeConfiguration:
    return EdgeConfiguration((Listener("gateway-http@test", 10),), (Backend("a"), Backend("b")), routes)


def test_the_rules_and_maps_are_as_expected() -> None:
    """The part of haproxy.cfg that routes make, and all of their files."""
    rendered = render(_configuration(*_ROUTES), _SETTINGS)
    begin, end = rendered.text.index("    # route:"), rendered.text.index("    # balance;")
    files = {name: text for name, text in rendered.files.items() if name.startswith(("routes", "answer"))}
    shown = rendered.text[begin:end] + "".join(f"=== {name}\n{text}\n" for name, text in files.items())
    if os.environ.get("CLOUDLET_GOLDEN") == "write":
        _GOLDEN.write_text(shown)
    assert shown == _GOLDEN.read_text()


def test_rules_grow_with_shapes_and_conditions_only() -> None:
    """Three thousand routes of a few kinds have as many rules as three, and are compiled in a moment."""

    def routes(count: int) -> list[Route]:
        return [
            made
            for n in range(count)
            for made in (
                route(f"/s{n}/*", "a", methods=["GET"]),
                route(f"/s{n}/*", "b", match={"headers": {"X-Version": "2"}}),
                route(f"/s{n}/{{id}}/items", "a"),
            )
        ]

    few, many = _configuration(*routes(1)), _configuration(*routes(1000))
    begun = time.process_time()
    assert len(fragment(many).rules) == len(fragment(few).rules)
    assert time.process_time() - begun < 2.0


def test_plain_routes_change_without_a_new_process() -> None:
    """Another route of a known shape is a matter of maps; one with a new condition is not."""
    old = _configuration(route("/a/*", "a"), route("/s/{id}", "a"))
    more = replace(old, routes=(*old.routes, route("/b/{name}", "b")))
    steps = difference(old, more)
    assert not steps.beyond and list(steps.maps) == ["routes-backends.map", "routes-shape-01.map"]
    assert difference(old, _configuration(*old.routes, route("/c", "a", methods=["GET"]))).beyond


def test_maps_are_exchanged_in_an_order_that_shows_no_wrong_route() -> None:
    """What labels lead to comes before labels, and goes after them; the specific comes first, and goes last."""
    old, new = (
        _configuration(route("/a/*", "a"), route("/x", "a")),
        _configuration(route("/a", "b"), route("/y/*", "b")),
    )
    steps = exchanges(old, difference(old, new).maps)
    assert [name for name, _ in steps] == [
        *("routes-backends.map", "routes-exact.map", "routes-prefix.map"),
        *("routes-prefix.map", "routes-exact.map", "routes-backends.map"),
    ]
    state = {name: dict(entries) for name, entries in live_maps(old).items()}
    for name, entries in steps:
        state[name] = dict(entries)
        for path in ("/a", "/x", "/y/z", "/a/b"):
            label = state["routes-exact.map"].get(path) or next(
                (label for key, label in state["routes-prefix.map"].items() if path.startswith(key)), None
            )
            assert label is None or label in state["routes-backends.map"]
    assert state == {name: dict(entries) for name, entries in live_maps(new).items()}
