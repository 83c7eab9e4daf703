"""`cloudlet route`: routes in their order, and which one takes a request."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudlet.cli.app import cloudlet
from tests.support.live_stack import LiveStack

_FILE = """\
name: shop
services:
  orders: {command: "python3 app.py {port}", health: {path: /health}}
  orders2: {command: "python3 app.py {port}", health: {path: /health}}
gateway:
  listen: {http: 0, https: "off"}
  routes:
    - {path: /orders/*, to: orders}
    - {path: /orders/*, to: orders2, match: {headers: {X-Version: "2"}}}
    - {path: "/orders/{id}", to: orders, methods: [GET, DELETE]}
    - {path: /split/*, name: split, to: [{service: orders, weight: 1}, {service: orders2, weight: 0}]}
    - {host: api.shop.localhost, path: /*, static: {body: hello}}
"""


def _run(folder: Path, *words: str) -> tuple[int, str]:
    file = folder / "cloudlet.yaml"
    file.write_text(_FILE)
    result = CliRunner().invoke(cloudlet, ["-f", str(file), "route", *words])
    return result.exit_code, result.output


def _decision(folder: Path, *words: str) -> dict[str, object]:
    status, said = _run(folder, "explain", "--output", "json", *words)
    assert status == 0, said
    return dict(json.loads(said))


def test_explain_says_who_takes_a_request_and_why_not_the_others(tmp_path: Path) -> None:
    """In words, from the file alone."""
    status, said = _run(tmp_path, "explain", "POST", "http://shop.localhost:8080/orders/7?a=b")
    assert status == 0
    assert said.splitlines() == [
        "POST shop.localhost/orders/7?a=b",
        "  is taken by /orders/*: orders",
        "  because no other route takes it",
        "  not GET,DELETE:/orders/{id}: it takes GET, HEAD and DELETE, not POST",
        "  not /orders/*?x-version:2: it asks for the header x-version to be 2, and there is none",
    ]


@pytest.mark.parametrize(
    ("words", "label", "status"),
    [
        (["/orders/7"], "GET,DELETE:/orders/{id}", 200),
        (["get", "/orders//%37"], "GET,DELETE:/orders/{id}", 200),
        (["/orders", "-H", "x-version: 2"], "/orders/*?x-version:2", 200),
        (["/orders", "-H", "X-Version: 2", "-H", "X-Version: 2"], "/orders/*", 200),
        (["https://API.shop.localhost./orders/7"], "api.shop.localhost/*", 200),
        (["/x", "-H", "Host: api.shop.localhost:80"], "api.shop.localhost/*", 200),
        (["/nothing"], "", 404),
        (["/orders/../x"], "", 400),
    ],
)
def test_explain_reads_requests_as_the_edge_does(tmp_path: Path, words: list[str], label: str, status: int) -> None:
    """Host without case and port, path decoded, headers by name; what the edge refuses is refused."""
    decision = _decision(tmp_path, *words)
    assert (decision["label"], decision["status"]) == (label, status)


@pytest.mark.parametrize(("words", "reason"), [(["/x", "-H", "bad"], "no header"), (["GET", "/x", "y"], "one request")])
def test_explain_refuses_what_is_no_request(tmp_path: Path, words: list[str], reason: str) -> None:
    """Exit status 2 and the reason."""
    status, said = _run(tmp_path, "explain", *words)
    assert status == 2 and reason in said


def test_ls_shows_the_order_of_precedence(tmp_path: Path) -> None:
    """The specific first, also where nothing runs; then there are no counts."""
    status, said = _run(tmp_path, "ls", "--output", "json")
    assert status == 0
    routes = json.loads(said)["routes"]
    assert [route["label"] for route in routes] == [
        "api.shop.localhost/*",
        "GET,DELETE:/orders/{id}",
        "/orders/*?x-version:2",
        "/orders/*",
        "split",
    ]
    assert routes[2]["conditions"] == ["header x-version=2"]
    assert [route["counts"] for route in routes] == [None] * 5
    assert "split" in _run(tmp_path, "ls")[1]


def test_ls_counts_what_runs() -> None:
    """Requests and errors of each route, and of each service of one over several, from the running edge."""
    with LiveStack(_FILE.replace("python3", sys.executable)) as stack:
        stack.up()
        for path in ("/orders/1", "/orders/2", "/split/x", "/nothing"):
            _get(stack.address() + path)
        said = json.loads(stack.cloudlet("route", "ls", "--output", "json").stdout)
        routes = {route["label"]: route for route in said["routes"]}
        assert routes["GET,DELETE:/orders/{id}"]["counts"]["requests"] == 2
        assert [(item["service"], item["counts"]["requests"]) for item in routes["split"]["variants"]] == [
            ("orders", 1),
            ("orders2", 0),
        ]
        assert "orders2" in stack.cloudlet("route", "ls").stdout


def _get(url: str) -> None:
    """Whatever the status."""
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(url, timeout=10) as answer:
        answer.read()
