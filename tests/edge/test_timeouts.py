"""Time limits: of an answer, of a request on its way, of silence on a WebSocket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from . import raw
from .conftest import Harness, backend
from .shaped import route, shaped, start_told
from .told import Told


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    made = await Told().start()
    yield made
    await made.stop()


async def _status(harness: Harness, path: str, method: str = "GET") -> int:
    async with harness.client.request(method, path) as answer:
        await answer.read()
        return answer.status


@pytest.mark.parametrize(("instances", "method"), [(2, "GET"), (2, "POST"), (1, "GET")])
async def test_a_late_answer_is_504_and_neighbours_do_not_notice(
    harness: Harness, told: Told, instances: int, method: str
) -> None:
    """Also on either way through the door; the route beside it waits as long as its service may."""
    servers = [told.server(f"a-{number}") for number in range(1, instances + 1)]
    routes = (route("/quick/*", timeout="200ms"), route())
    await harness.edge.start(shaped(harness, backend("a", *servers), routes=routes))
    began = time.monotonic()
    statuses = await asyncio.gather(
        _status(harness, "/quick/a?wait=2", method), _status(harness, "/slow?wait=0.8", method), _status(harness, "/x")
    )
    assert statuses == [504, 200, 200]
    assert time.monotonic() - began < 1.9, "the late answer was not waited for"


async def test_an_answer_in_time_is_passed_on(harness: Harness, told: Told) -> None:
    """The limit counts until the answer begins."""
    await start_told(harness, told, route(timeout={"answer": "2s"}))
    assert await _status(harness, "/?wait=0.1") == 200


async def test_a_silent_websocket_is_cut_and_a_talking_one_is_not(harness: Harness, told: Told) -> None:
    """Silence counts anew with each message."""
    await start_told(harness, told, route(timeout={"idle": "400ms"}))
    async with harness.client.ws_connect("/ws") as talking, harness.client.ws_connect("/ws") as silent:
        for _ in range(6):
            await talking.send_str("x")
            assert (await talking.receive(timeout=2)).data == "x"
            await asyncio.sleep(0.1)
        assert (await silent.receive(timeout=2)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_a_body_that_does_not_come_is_408(harness: Harness, told: Told) -> None:
    """The service is not asked before the body is there."""
    await start_told(harness, told, route(timeout={"request": "200ms"}))
    slow = b"POST /a HTTP/1.1\r\nHost: edge.localhost\r\nContent-Length: 10\r\n\r\n12345"
    status, answer = await raw.send(harness.port, slow)
    assert status == 408
    assert b"application/problem+json" in answer
    assert told.asked == {}
    assert await _status(harness, "/a", "POST") == 200


@pytest.mark.soak
async def test_headers_that_trickle_are_408(harness: Harness, told: Told) -> None:
    """A slowloris, one header every second, holds a connection for ten seconds, and no instance."""
    await start_told(harness, told, route())
    reader, writer = await asyncio.open_connection("127.0.0.1", harness.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: edge.localhost\r\n")
    began, number = time.monotonic(), 0
    answer = asyncio.create_task(reader.read())
    while not answer.done():
        number += 1
        writer.write(f"X-{number}: {number}\r\n".encode())
        await asyncio.wait([answer], timeout=1.0)
    assert (await answer).startswith(b"HTTP/1.1 408 ")
    assert 8 < time.monotonic() - began < 13
    assert told.asked == {}
    writer.close()
