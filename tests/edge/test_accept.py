"""What a request may be: its size, headers and type; and requests whose size is told in two ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import h2.config
import h2.connection
import h2.events
import pytest

from . import raw
from .conftest import Harness
from .shaped import log_lines, route, start_told
from .told import Told


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    made = await Told().start()
    yield made
    await made.stop()


async def _post(harness: Harness, body: bytes, **headers: str) -> tuple[int, str]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with harness.client.post("/a", data=body, headers=sent) as answer:
        text = await answer.text()
        return answer.status, json.loads(text)["detail"] if answer.status >= 400 else text


async def test_a_body_may_be_as_large_as_the_route_takes(harness: Harness, told: Told) -> None:
    """To the byte; larger is 413 and says how large it may be."""
    await start_told(harness, told, route(accept={"body": "2KB"}))
    assert (await _post(harness, b"x" * 2000))[0] == 200
    status, detail = await _post(harness, b"x" * 2001)
    assert status == 413
    assert "2KB (2000 bytes)" in detail
    assert told.asked == {"/a": 1}


@pytest.mark.parametrize("length", ["3000", "4294967297", "9223372036854775807"])
async def test_a_length_alone_is_refused(harness: Harness, told: Told, length: str) -> None:
    """Before any of the body is there; no number is so large that it becomes small again."""
    await start_told(harness, told, route(accept={"body": "2KB"}))
    status, _ = await raw.send(harness.port, raw.get("/a", f"Content-Length: {length}", method="POST"))
    assert status == 413
    assert told.asked == {}


async def test_a_body_without_a_length_is_refused_where_size_counts(harness: Harness, told: Told) -> None:
    """411, also for a small one: no rule of the edge sees how much will pass. Elsewhere it is streamed."""
    await start_told(harness, told, route("/limited", accept={"body": "2KB"}), route())
    chunked = b"5\r\nhello\r\n0\r\n\r\n"
    for path, expected in (("/limited", 411), ("/free", 200)):
        request = raw.get(path, "Transfer-Encoding: chunked", method="POST") + chunked
        assert (await raw.send(harness.port, request))[0] == expected
    assert told.asked == {"/free": 1}
    assert told.body == b"hello"


async def test_a_request_without_a_body_passes(harness: Harness, told: Told) -> None:
    """A GET has no size and no type."""
    await start_told(harness, told, route(accept={"body": "2KB", "content_types": ["application/json"]}))
    for method in ("GET", "HEAD", "DELETE"):
        async with harness.client.request(method, "/a") as answer:
            assert answer.status == 200


async def _http2(port: int, *, length: int | None, body: bytes, kind: str = "application/json") -> int:
    """The status of a POST over HTTP/2 in clear; 0 when the stream is reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=False))
        connection.initiate_connection()
        headers = [(":method", "POST"), (":path", "/a"), (":scheme", "http"), (":authority", "edge.localhost")]
        headers += [("content-type", kind)] + ([("content-length", str(length))] if length is not None else [])
        connection.send_headers(1, headers)
        connection.send_data(1, body, end_stream=True)
        writer.write(connection.data_to_send())
        while data := await asyncio.wait_for(reader.read(65536), 5):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    return int(dict(event.headers)[b":status"])
                if isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    return 0
        return 0
    finally:
        writer.close()


async def test_sizes_count_in_http2_too(harness: Harness, told: Told) -> None:
    """By its length; without one it is 411; and a stream that sends another length than it says gets nowhere."""
    await start_told(harness, told, route(accept={"body": "2KB", "content_types": ["application/json"]}))
    assert await _http2(harness.port, length=5, body=b"hello") == 200
    assert await _http2(harness.port, length=2001, body=b"x" * 2001) == 413
    assert await _http2(harness.port, length=None, body=b"hello") == 411
    assert await _http2(harness.port, length=5, body=b"x" * 4000) in (0, 400)
    assert await _http2(harness.port, length=5, body=b"hello", kind="text/html") == 415
    assert told.asked == {"/a": 1}


_TYPES = {
    "application/json": 200,
    "Application/JSON; charset=utf-8": 200,
    "application/json ;charset=utf-8": 200,
    "image/png": 200,
    "text/html": 415,
    "application/jsonp": 415,
    "application/json, text/html": 415,
    "text/html; x=application/json": 415,
    "": 415,
}


async def test_only_the_types_named_are_taken(harness: Harness, told: Told) -> None:
    """Without regard to case and parameters; the refusal names what is taken."""
    await start_told(harness, told, route(accept={"content_types": ["application/json", "image/*"]}))
    for kind, expected in _TYPES.items():
        request = raw.get("/a", f"Content-Type: {kind}", "Content-Length: 2", method="POST") + b"{}"
        status, answer = await raw.send(harness.port, request)
        assert status == expected, kind
        assert status == 200 or b"application/json or image/*" in answer
    both = ("Content-Type: application/json", "Content-Type: text/html")
    for kinds in ((), both, both[::-1]):
        request = raw.get("/a", *kinds, "Content-Length: 2", method="POST") + b"{}"
        assert (await raw.send(harness.port, request))[0] == 415
    chunked = raw.get("/a", "Content-Type: text/html", "Transfer-Encoding: chunked", method="POST")
    assert (await raw.send(harness.port, chunked + b"2\r\n{}\r\n0\r\n\r\n"))[0] == 415


async def test_a_missing_header_is_named(harness: Harness, told: Told) -> None:
    """400; an empty one is missing too."""
    await start_told(harness, told, route(accept={"headers": ["X-Tenant", "X-Trace"]}))
    assert (await _post(harness, b"", X_Tenant="a", X_Trace="b"))[0] == 200
    assert await _post(harness, b"", X_Tenant="a") == (400, "the request lacks the header x-trace")
    assert await _post(harness, b"", X_Tenant="", X_Trace="b") == (400, "the request lacks the header x-tenant")


async def test_refusals_are_logged_by_their_name(harness: Harness, told: Told) -> None:
    """Always, though not one ordinary request is."""
    await start_told(harness, told, route(accept={"body": "2KB", "headers": ["X-Tenant"]}))
    await _post(harness, b"", X_Tenant="a")
    await _post(harness, b"")
    await _post(harness, b"x" * 2001, X_Tenant="a")
    while len(log_lines(harness)) < 2:
        await asyncio.sleep(0.01)
    assert [(line["status"], line["refused"]) for line in log_lines(harness)] == [
        (400, "header:x-tenant"),
        (413, "size"),
    ]


_SMUGGLED = b"GET /secret HTTP/1.1\r\nHost: edge.localhost\r\n\r\n"


def _two_ways(*headers: str, body: bytes) -> bytes:
    lines = ["POST /a HTTP/1.1", "Host: edge.localhost", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


_AMBIGUOUS = {
    "CL.TE": _two_ways("Content-Length: 6", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + _SMUGGLED),
    "TE.CL": _two_ways("Transfer-Encoding: chunked", "Content-Length: 4", body=b"0\r\n\r\n" + _SMUGGLED),
    "TE with a tab": _two_ways("Content-Length: 6", "Transfer-Encoding:\tchunked", body=b"0\r\n\r\n" + _SMUGGLED),
    "TE with a space before": _two_ways(
        "Content-Length: 6", "Transfer-Encoding : chunked", body=b"0\r\n\r\n" + _SMUGGLED
    ),
    "TE twice": _two_ways("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=b"0\r\n\r\n" + _SMUGGLED),
    "TE folded": _two_ways("Content-Length: 6", "X: a\r\n Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "CL twice": _two_ways("Content-Length: 0", f"Content-Length: {len(_SMUGGLED)}", body=_SMUGGLED),
    "CL listed": _two_ways(f"Content-Length: 0, {len(_SMUGGLED)}", body=_SMUGGLED),
    "CL signed": _two_ways("Content-Length: +0", body=_SMUGGLED),
    "lines ended by LF": b"POST /a HTTP/1.1\nHost: edge.localhost\nContent-Length: 0\n"
    b"Transfer-Encoding: chunked\n\n0\r\n\r\n" + _SMUGGLED,
    "a null byte in a value": _two_ways("X: a\0b", body=b""),
    "a chunk whose size is signed": _two_ways("Transfer-Encoding: chunked", body=b"-1\r\n\r\n" + _SMUGGLED),
    "a chunk whose size is too large": _two_ways("Transfer-Encoding: chunked", body=b"f" * 20 + b"\r\n" + _SMUGGLED),
}


@pytest.mark.parametrize("what", _AMBIGUOUS)
async def test_nothing_is_smuggled(harness: Harness, told: Told, what: str) -> None:
    """However its length is told twice: what follows a request is not taken for another one behind the edge, and what
    the service gets has one length."""
    await start_told(harness, told, route(accept={"headers": []}))
    await raw.send(harness.port, _AMBIGUOUS[what])
    assert "/secret" not in told.asked
    names = [name for name, _ in told.headers]
    assert not {"content-length", "transfer-encoding"} <= set(names)


@pytest.mark.parametrize("path", ["/a%0d%0aX-Evil:%201", "/a?b=%0d%0aX-Evil:%201"])
async def test_an_encoded_line_end_ends_no_line(harness: Harness, told: Told, path: str) -> None:
    """Neither towards the service nor back."""
    headers = {"request": {"set": {"X-Path": "{path}"}}, "response": {"set": {"X-Path": "{path}"}}}
    await start_told(harness, told, route(headers=headers), trace=True)
    status, answer = await raw.send(harness.port, raw.get(path))
    assert status == (200 if "?" in path else 400), "the edge takes no such path"
    assert b"\nx-evil" not in answer.lower()
    assert "x-evil" not in dict(told.headers)
