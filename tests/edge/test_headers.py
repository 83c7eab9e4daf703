"""Headers set, added, removed, and the trace context."""

from __future__ import annotations

import re
import ssl
import string
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from . import raw
from .conftest import Harness, backend
from .shaped import route, shaped, start_told
from .test_protocols import make_certificate
from .told import Told


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    made = await Told().start()
    yield made
    await made.stop()


async def test_headers_are_changed_on_both_ways(harness: Harness, told: Told) -> None:
    """Set replaces, add stands beside, remove takes out."""
    changes = {"set": {"X-Set": "ours"}, "add": {"X-Add": "ours"}, "remove": ["X-Gone"]}
    await start_told(harness, told, route(headers={"request": changes, "response": changes}))
    path = "/?" + urlencode({"header": [f"{n}:theirs" for n in ("X-Set", "X-Add", "X-Gone")]}, doseq=True)
    sent = {"X-Set": "theirs", "X-Add": "theirs", "X-Gone": "theirs"}
    async with harness.client.get(path, headers=sent) as answer:
        seen = [(name.lower(), value) for name, value in answer.headers.items()]
    for place in (seen, told.headers):
        mine = [(name, value) for name, value in place if name in ("x-set", "x-add", "x-gone")]
        assert sorted(mine) == [("x-add", "ours"), ("x-add", "theirs"), ("x-set", "ours")]


async def test_the_route_comes_after_the_gateway(harness: Harness, told: Told) -> None:
    """A route's `set` wins, and takes nothing from other routes."""
    own = route("/own", headers={"response": {"set": {"X-A": "route"}}})
    await start_told(harness, told, own, route(), headers={"response": {"set": {"X-A": "gateway", "X-B": "gateway"}}})
    seen = {}
    for path in ("/own", "/other"):
        async with harness.client.get(path) as answer:
            seen[path] = (answer.headers["X-A"], answer.headers["X-B"])
    assert seen == {"/own": ("route", "gateway"), "/other": ("gateway", "gateway")}


async def test_templates_are_filled_in(harness: Harness, told: Told) -> None:
    """From the request, on both ways; other braces are text."""
    template = "{path} {host} {client} {request_id} {id} {item} [{user}] {not one} {UP}"
    changes = {"set": {"X-T": template}}
    designed = route("/o/{id}/i/{item}", headers={"request": changes, "response": changes})
    await start_told(harness, told, designed)
    async with harness.client.get(
        "/o/17/i/a%20b?q=secret", headers={"Host": "Shop.localhost", "X-Request-Id": "r"}
    ) as it:
        filled = it.headers["X-T"]
    assert filled == "/o/17/i/a%20b shop.localhost 127.0.0.1 r 17 a%20b [] {not one} {UP}"
    assert dict(told.headers)["x-t"] == filled


async def test_a_value_is_only_ever_text(harness: Harness, told: Told) -> None:
    """Every visible character, HAProxy's own words among them, comes out as it was written."""
    values = [
        string.punctuation,
        "%[src] %ci %{+Q}r 100% %%",
        "'single' \"double\" \\ \\n \\x41",
        "$HOME ${HOME} # no comment",
        "it's; if { always_true }",
        "Grüße — ✓",
    ]
    changes = {"set": {f"X-{number}": value for number, value in enumerate(values)}}
    await start_told(harness, told, route(headers={"request": changes, "response": changes}))
    async with harness.client.get("/") as answer:
        seen = [answer.headers[f"X-{number}"] for number in range(len(values))]
    assert seen == values
    sent = dict(told.headers)
    assert [sent[f"x-{number}"] for number in range(len(values))] == values


async def test_parameters_without_control_characters(harness: Harness, told: Told) -> None:
    """What is encoded in a parameter leaves one line; ends of lines and tabs are no part of any path."""
    changes = {"set": {"X-Id": "{id}"}}
    await start_told(harness, told, route("/o/{id}", headers={"request": changes, "response": changes}))
    _, answer = await raw.send(harness.port, raw.get("/o/1%0bX-Evil:%201%7f"))
    assert b"x-id: 1X-Evil:%201\r\n" in answer
    status, answer = await raw.send(harness.port, raw.get("/o/1%0d%0aX-Evil:%201%09"))
    assert status == 400
    assert b"\nX-Evil" not in answer


async def test_headers_reach_the_service_through_the_door(harness: Harness, told: Told) -> None:
    """What the gateway set is there too when the service has one instance only."""
    routes = (route(headers={"request": {"set": {"X-Set": "ours"}}}),)
    await harness.edge.start(shaped(harness, backend("a", told.server()), routes=routes))
    for method in ("GET", "POST"):
        async with harness.client.request(method, "/") as answer:
            assert answer.status == 200
        assert dict(told.headers)["x-set"] == "ours"


_SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "strict-origin-when-cross-origin",
    "content-security-policy": "frame-ancestors 'self'",
}


async def test_secure_headers_where_the_service_sets_none(harness: Harness, told: Told) -> None:
    """On every answer, the edge's own too; a service's own stand. Over http nobody is promised https."""
    await start_told(harness, told, route(accept={"headers": ["X-Tenant"]}), headers={"secure": True})
    for sent in ({}, {"X-Tenant": "a"}):
        async with harness.client.get("/", headers=sent) as answer:
            assert {name: answer.headers.getall(name) for name in _SECURE} == {n: [v] for n, v in _SECURE.items()}
            assert "Strict-Transport-Security" not in answer.headers
    path = "/?" + urlencode({"header": "X-Frame-Options:DENY"})
    async with harness.client.get(path, headers={"X-Tenant": "a"}) as answer:
        assert answer.headers.getall("X-Frame-Options") == ["DENY"]


async def test_https_is_promised_over_https_alone(harness: Harness, told: Told, tmp_path: Path) -> None:
    """Strict-Transport-Security for a year, where the service says nothing of its own."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    make_certificate(folder / "01.pem")
    listener = replace(await harness.listen("gateway-https"), certificates=folder)
    harness.listeners += (listener,)
    await start_told(harness, told, route(), headers={"secure": True})
    port, context = await harness.port_of(listener), ssl.create_default_context(cafile=str(folder / "01.pem"))
    own = "/?" + urlencode({"header": "Strict-Transport-Security:max-age=1"})
    for path, expected in (("/", "max-age=31536000"), (own, "max-age=1")):
        async with harness.client.get(f"https://localhost:{port}{path}", ssl=context) as answer:
            assert answer.headers.getall("Strict-Transport-Security") == [expected]


_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_VALID = [_PARENT, _PARENT[:-1] + "0", "cc" + _PARENT[2:] + "-what-the-future-brings"]
_INVALID = [
    _PARENT.upper(),
    "ff" + _PARENT[2:],
    _PARENT + "-00",
    _PARENT[:-1],
    "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
    _PARENT.replace("-", "_"),
    "x" + _PARENT,
    "",
]


async def test_a_valid_trace_is_passed_on(harness: Harness, told: Told) -> None:
    """As it is, with its state."""
    await start_told(harness, told, trace=True)
    for parent in _VALID:
        await raw.send(harness.port, raw.get("/", f"traceparent: {parent}", "tracestate: a=1"))
        sent = dict(told.headers)
        assert (sent["traceparent"], sent["tracestate"]) == (parent, "a=1")


async def test_any_other_trace_is_replaced(harness: Harness, told: Told) -> None:
    """By one of ours, each another; the state of an invalid one is dropped, and two parents are none."""
    await start_told(harness, told, trace=True)
    cases = [[f"traceparent: {parent}"] for parent in _INVALID] + [[], [f"traceparent: {_PARENT}"] * 2]
    made = set()
    for lines in cases:
        await raw.send(harness.port, raw.get("/", *lines, "tracestate: a=1"))
        parents = [value for name, value in told.headers if name == "traceparent"]
        assert len(parents) == 1
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", parents[0]), parents
        assert _PARENT[3:35] not in parents[0]
        assert "tracestate" not in dict(told.headers)
        made.add(parents[0])
    assert len(made) == len(cases)


async def test_without_trace_nothing_is_touched(harness: Harness, told: Told) -> None:
    """What comes goes through, and nothing is made."""
    await start_told(harness, told)
    await raw.send(harness.port, raw.get("/", "traceparent: whatever", "tracestate: a=1"))
    assert dict(told.headers)["traceparent"] == "whatever"
    await raw.send(harness.port, raw.get("/"))
    assert "traceparent" not in dict(told.headers)
