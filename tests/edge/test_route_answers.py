"""What the edge answers by itself: static answers, redirects, maintenance; bodies and targets that could break out."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.stack.gateway import Gateway

from . import raw
from .asking import Answer, ask, request
from .conftest import Harness, backend
from .routes import route

_HOSTILE = "50% %[src] %ci \"quoted\" 'single' \\n ${HOME} $PATH #no comment\r\nline two { } \u00e9\n"


async def _serve(harness: Harness, *routes: Route, **gateway: object) -> None:
    configuration = harness.configuration(backend("a", *await harness.servers("a", 1)), routes=routes)
    await harness.edge.start(replace(configuration, gateway=Gateway.model_validate(gateway)))


async def _get(harness: Harness, path: str, host: str = "shop.localhost", method: str = "GET") -> Answer:
    return (await ask(harness.port, [(method, request(path, host, method))]))[0]


async def test_a_static_answer_is_what_the_file_says(harness: Harness) -> None:
    """Whatever its body and headers hold, HAProxy takes none of it for its own words; HEAD has no body."""
    headers = {"X-Odd": "50% %[src] 'x' \"y\" \\ é"}
    answer = {"status": 418, "body": _HOSTILE, "content_type": 'text/plain; a="%b"', "headers": headers}
    await _serve(harness, route("/tea", static=answer), route("/none", static={"status": 204}))
    got = await _get(harness, "/tea")
    assert (got.status, got.text) == (418, _HOSTILE)
    assert got.headers["content-type"] == 'text/plain; a="%b"'
    assert got.headers["x-odd"].encode("latin-1").decode() == headers["X-Odd"]
    head = await _get(harness, "/tea", method="HEAD")
    assert (head.status, head.headers["content-length"]) == (418, got.headers["content-length"])
    assert (await _get(harness, "/none")).status == 204


async def test_a_file_of_a_megabyte_is_answered(harness: Harness) -> None:
    """Bytes of any kind, more than HAProxy's buffers hold, also while many ask."""
    content = bytes(range(256)) * 3906
    large = {"file": "/large.bin", "content_type": "application/octet-stream", "headers": {"X-Kind": "large"}}
    small = {"file": "/small.bin", "content_type": "application/octet-stream"}
    await _serve(
        harness,
        route("/large", static=large, content=base64.b64encode(content).decode()),
        route("/small", static=small, content=base64.b64encode(content[:500]).decode()),
    )
    answers = await ask(
        harness.port, [("GET", request("/large", "h"))] * 3 + [("HEAD", request("/large", "h", "HEAD"))]
    )
    assert [answer.body for answer in answers] == [content] * 3 + [b""]
    assert answers[0].headers["x-kind"] == "large"
    assert answers[3].headers["content-length"] == str(len(content))
    assert (await _get(harness, "/small")).body == content[:500]


async def test_maintenance_of_a_route_and_of_all(harness: Harness) -> None:
    """503 with Retry-After and what people should read; the other routes go on, unless all are closed."""
    closed = route("/shop/*", "a", maintenance={"retry_after": 90, "body": _HOSTILE, "content_type": "text/html"})
    await _serve(harness, closed, route("/*", "a"))
    got = await _get(harness, "/shop/x")
    assert (got.status, got.headers["retry-after"], got.text) == (503, "90", _HOSTILE)
    assert got.headers["content-type"] == "text/html"
    assert (await _get(harness, "/other")).status == 200
    await _serve(harness, route("/*", "a"), maintenance=True)
    got = await _get(harness, "/other")
    assert (got.status, got.headers["retry-after"], json.loads(got.text)["status"]) == (503, "60", 503)


_REDIRECTS = (
    route("/old/*", redirect={"to": "/new/{rest}?{query}", "status": 301}),
    route("/path/*", redirect="/{path}"),
    route("/all/*", redirect="{path}"),
    route("/secure/*", redirect="https://{host}{path}?{query}"),
    route("/port/*", redirect="https://{host}:8443/x?from={path}"),
    route("/user/{id}/{what}", redirect={"to": "https://new.example/{what}/{id}", "status": 307}),
    route("/query", redirect="https://new.example/?{query}"),
    route("/*", redirect="/{rest}"),
)


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/old/a/b?c=d&e", 301, "/new/a/b?c=d&e"),
        ("/old/a%20b/%C3%A9", 301, "/new/a%20b/%C3%A9"),
        ("/old", 301, "/new/"),
        ("/path/x", 308, "/path/x"),
        ("/all/x", 308, "/all/x"),
        ("/secure/a%2Fb?q=1", 308, "https://shop.localhost/secure/a%2Fb?q=1"),
        ("/secure/a", 308, "https://shop.localhost/secure/a"),
        ("/user/7/pen", 307, "https://new.example/pen/7"),
        ("/query?a=b", 308, "https://new.example/?a=b"),
        ("/query", 308, "https://new.example/"),
        ("/port/a", 308, "https://shop.localhost:8443/x?from=/port/a"),
        # other hosts, line ends, ends of a path
        ("//path/x", 308, "/path/x"),
        ("/%70ath//evil.example/x", 308, "/%70ath//evil.example/x"),
        ("//evil.example/x", 308, "/evil.example/x"),
        ("/\\evil.example/x", 308, "/%5Cevil.example/x"),
        ("//all/..;/x", 308, "/all/..;/x"),
        ("/\\\\all/x", 308, "/%5C%5Call/x"),
        ("/old/x?%0d%0aX-Evil:%201", 301, "/new/x?%0d%0aX-Evil:%201"),
        ("/user/a%3Fb%23c/x%26y", 307, "https://new.example/x%26y/a%3Fb%23c"),
        ("/user/@evil.example/x", 307, "https://new.example/x/%40evil.example"),
        ("/user/%5C%5Cevil/%2541", 307, "https://new.example/%2541/%5C%5Cevil"),
    ],
)
async def test_redirects_lead_where_they_are_meant_to(
    redirecting: Harness, path: str, status: int, location: str
) -> None:
    """Filled in and encoded anew; never another host, never another header."""
    got = await _get(redirecting, path)
    assert (got.status, got.headers["location"]) == (status, location)
    assert "x-evil" not in got.headers and "set-cookie" not in got.headers


@pytest.fixture
async def redirecting(harness: Harness) -> Harness:
    await _serve(harness, *_REDIRECTS)
    return harness


async def test_a_redirect_refuses_what_it_cannot_fill_in(redirecting: Harness) -> None:
    """A host that is none, and a path whose encoded form would not fit."""
    assert (await _get(redirecting, "/secure/a", host="a@evil.example")).status == 400
    assert (await _get(redirecting, "/secure/a", host="shop.localhost:80")).status == 308
    assert (await _get(redirecting, "/old/" + "@" * 5000)).status == 414
    assert (await _get(redirecting, "/old/" + "@" * 3900)).status == 301
    status, answer = await raw.send(redirecting.port, b"GET /all/\r\nX-Evil: 1 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert status == 400, answer


def test_files_are_kept_in_the_record() -> None:
    """What a static answer's file held goes with the configuration, so that an adopting cloudlet renders the same."""
    from pydantic import TypeAdapter

    content = base64.b64encode(b"\xff\x00%").decode()
    configuration = EdgeConfiguration(routes=(route("/x", static={"file": "/f"}, content=content),))
    kind = TypeAdapter(EdgeConfiguration)
    assert kind.validate_json(kind.dump_json(configuration)) == configuration
