"""What a request looks like to the instance, and which requests never get there."""

from __future__ import annotations

import json

import pytest

from . import raw
from .conftest import Harness, backend


async def _seen(harness: Harness, *headers: str, port: int | None = None) -> dict[str, list[str]]:
    status, answer = await raw.send(port or harness.port, raw.get("/", *headers))
    assert status == 200, answer
    seen: dict[str, list[str]] = {}
    for name, value in json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]:
        seen.setdefault(name, []).append(value)
    return seen


async def test_forwarding_headers_are_ours(harness: Harness) -> None:
    """A client can't say where it comes from; the instance learns address, host, protocol, port and a request id."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    seen = await _seen(
        harness,
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-User: admin",
        "Forwarded: for=6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "Cloudlet-Backend: b",
        "Proxy: evil",
        "X-Request-Id: not a valid id",
        "Keep-Alive: 3",
        "TE: trailers",
    )
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["http"]
    assert seen["x-forwarded-host"] == ["edge.localhost"]
    assert seen["x-forwarded-port"] == [str(harness.port)]
    assert len(seen["x-request-id"][0]) == 36
    gone = {"x-forwarded-user", "forwarded", "x-real-ip", "cloudlet-backend", "proxy", "keep-alive"}
    assert not gone & seen.keys()


async def test_headers_named_by_connection_stay(harness: Harness) -> None:
    """`Connection: x-forwarded-for` can't make what is behind drop our header."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    seen = await _seen(harness, "Connection: x-forwarded-for, x-request-id")
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert "x-forwarded-for" not in " ".join(seen.get("connection", []))


async def test_a_request_id_is_kept_and_answered(harness: Harness) -> None:
    """A valid id of the caller's goes through, and comes back."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    async with harness.client.get("/", headers={"X-Request-Id": "abc-123"}) as answer:
        assert answer.headers["X-Request-Id"] == "abc-123"
        assert ["x-request-id", "abc-123"] in (await answer.json())["headers"]


@pytest.mark.parametrize("second", ["<script>", "a,<script>", "", "x" * 129])
async def test_one_value_of_a_request_id_is_judged_and_taken(harness: Harness, second: str) -> None:
    """A good id beside a bad one lets neither the bad one nor both through."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    for ids in (("good", second), (second, "good")):
        status, answer = await raw.send(harness.port, raw.get("/", *(f"X-Request-Id: {value}" for value in ids)))
        assert status == 200
        head, _, body = answer.partition(b"\r\n\r\n")
        seen = [value for name, value in json.loads(body)["headers"] if name == "x-request-id"]
        assert len(seen) == 1
        assert seen[0] == "good" or len(seen[0]) == 36
        assert head.lower().count(b"x-request-id: ") == 1
        assert b"x-request-id: " + seen[0].encode() in head.lower()


async def test_an_internal_listener_trusts_what_it_is_told(harness: Harness) -> None:
    """A service that calls another passes the outer client's address on."""
    inner = await harness.listen("internal-a", backend="a", internal=True)
    harness.listeners += (inner,)
    await harness.start(backend("a", *await harness.servers("a", 1)))
    port = await harness.port_of(inner)
    assert (await _seen(harness, "X-Forwarded-For: 9.9.9.9", port=port))["x-forwarded-for"] == ["9.9.9.9"]
    assert (await _seen(harness, port=port))["x-forwarded-for"] == ["127.0.0.1"]


_REFUSED = {
    "dot segments": raw.get("/a/../b"),
    "dots at the end": raw.get("/a/.."),
    "encoded dots": raw.get("/a/%2e%2e/b"),
    "encoded slash after dots": raw.get("/a/..%2fb"),
    "a null byte": raw.get("/a%00b"),
    "an encoded end of a line": raw.get("/a%0Ab"),
    "an encoded tab": raw.get("/a%09b"),
    "a broken escape": raw.get("/a%zz"),
    "a path as host": raw.get("/b", host="h/a"),
    "an underscore in a header's name": raw.get("/", "X_Forwarded_For: 6.6.6.6"),
    "a space before the colon": raw.get("/", "X-A : b"),
    "two lengths": raw.get("/", "Content-Length: 5", "Content-Length: 6", method="POST"),
    "an unknown transfer coding": raw.get("/", "Transfer-Encoding: xchunked", method="POST"),
    "two hosts": raw.get("/", "Host: other"),
    "a negative length": raw.get("/", "Content-Length: -1", method="POST"),
    "a null byte in a name": b"GET / HTTP/1.1\r\nHost: a\r\nX\x00A: b\r\n\r\n",
}


@pytest.mark.parametrize("what", _REFUSED)
async def test_an_ambiguous_request_is_refused(harness: Harness, what: str) -> None:
    """It is answered 400 (403 for a header's name), and no instance sees it. (What is no HTTP at all gets HAProxy's
    own words: they are compiled in.)"""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    status, answer = await raw.send(harness.port, _REFUSED[what])
    assert status in (400, 403), answer
    assert harness.upstreams[0].requests == 0


async def test_a_refusal_is_a_problem_in_json(harness: Harness) -> None:
    """What the edge's rules refuse is answered with problem details."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    status, answer = await raw.send(harness.port, raw.get("/a/../b"))
    assert status == 400
    assert b"application/problem+json" in answer


async def test_length_and_chunks_together_smuggle_nothing(harness: Harness) -> None:
    """With both, the length is dropped and what follows is no second request (RFC 9112, 6.3)."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    smuggled = (
        b"POST /outer HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    status, answer = await raw.send(harness.port, smuggled)
    assert status == 200
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"smuggled" not in answer
    assert b'["content-length"' not in answer
