"""What is written of which requests: every refusal, error and slow answer, and a sample of the rest; no secrets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from . import raw
from .conftest import Harness, backend, until
from .shaped import log_lines, route, shaped, start_told
from .told import Told


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    made = await Told().start()
    yield made
    await made.stop()


async def test_ordinary_requests_are_silent_and_others_are_not(harness: Harness, told: Told) -> None:
    """With a sample of nothing: refusals, malformed requests, errors and slow answers are written, each once."""
    limited = route("/limited", name="limited", accept={"headers": ["X-Tenant"]})
    await start_told(harness, told, limited, route(name="rest"), log=(0.0, 0.3))
    for path in ("/ok", "/ok?status=404", "/limited", "/ok?status=503", "/slow?wait=0.4"):
        async with harness.client.get(path) as answer:
            await answer.read()
    await raw.send(harness.port, raw.get("/a/../b"))
    await raw.send(harness.port, b"GARBAGE\r\n\r\n")
    await until(lambda: len(log_lines(harness)) >= 5)
    seen = [(line["path"], line["status"], line["refused"]) for line in log_lines(harness)]
    assert seen == [
        ("/limited", 400, "header:x-tenant"),
        ("/ok", 503, "-"),
        ("/slow", 200, "-"),
        ("-", 400, "-"),
        ("-", 400, "-"),
    ]
    assert log_lines(harness)[0]["route"] == "limited"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_one_line_for_what_passes_the_door(harness: Harness, told: Told, method: str) -> None:
    """An error or a slow answer of a service with one instance is written once, with its route, server and trace."""
    only = backend("a", told.server("a-1"))
    configuration = shaped(harness, only, routes=(route(name="rest"),), log=(0.0, 0.3), trace=True)
    await harness.edge.start(configuration)
    for path in ("/x?status=500", "/slow?wait=0.4", "/ok"):
        async with harness.client.request(method, path) as answer:
            await answer.read()
    await until(lambda: len(log_lines(harness)) >= 2)
    await asyncio.sleep(0.1)  # nothing more comes
    lines = log_lines(harness)
    assert [(line["path"], line["status"], line["server"], line["route"]) for line in lines] == [
        ("/x", 500, "a-1", "rest"),
        ("/slow", 200, "a-1", "rest"),
    ]
    assert lines[1]["trace"] == dict(told.headers)["traceparent"].split("-")[1] or len(lines[1]["trace"]) == 32


async def test_a_sample_is_a_share(harness: Harness, told: Told) -> None:
    """Half of 400 requests, give or take five standard deviations."""
    await start_told(harness, told, log=(0.5, 10.0))
    for _ in range(400):
        async with harness.client.get("/") as answer:
            await answer.read()
    await until(lambda: len(log_lines(harness)) >= 150)
    assert 150 <= len(log_lines(harness)) <= 250


async def test_secrets_are_not_written(harness: Harness, told: Told) -> None:
    """Neither query, nor cookies, nor credentials; and what a client sends ends no line and no text."""
    await start_told(harness, told, log=(1.0, 1.0))
    headers = {"Authorization": "Bearer secret-1", "Cookie": "session=secret-2", "X-Api-Key": "secret-3"}
    async with harness.client.get("/a?token=secret-4", headers=headers) as answer:
        await answer.read()
    await raw.send(harness.port, raw.get("/b%22,%22refused%22:%22x%0d%0a{%22request%22", 'Host: x"y'))
    await until(lambda: len(log_lines(harness)) >= 2)
    text = harness.paths.log("edge").read_text()
    assert "secret" not in text
    assert '"refused":"x' not in text
    assert [line["refused"] for line in log_lines(harness)] == ["-", "-"]


async def test_a_trace_is_in_the_line(harness: Harness, told: Told) -> None:
    """The client's own, or the one that was made."""
    await start_told(harness, told, trace=True, log=(1.0, 1.0))
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    await raw.send(harness.port, raw.get("/", f"traceparent: 00-{trace}-00f067aa0ba902b7-01"))
    await raw.send(harness.port, raw.get("/"))
    await until(lambda: len(log_lines(harness)) == 2)
    own = dict(told.headers)["traceparent"].split("-")[1]
    assert [line["trace"] for line in log_lines(harness)] == [trace, own]
