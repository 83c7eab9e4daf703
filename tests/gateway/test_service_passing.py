"""What passes through the gateway service unchanged, and what does not pass."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web as web_server

from cloudlet.contracts.gateway import GatewayConfiguration

from .service import Gateway, Service
from .service import gateway as start


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, web_port: int) -> Iterator[Gateway]:
    routes = {"r": {"to": "web"}, "late": {"to": "web", "timeout": "100ms"}}
    made = start(tmp_path_factory.mktemp("gateway"), routes, web=web_port)
    yield made
    made.stop()


async def test_paths_and_queries_arrive_as_they_were_sent(gateway: Gateway, web: Service) -> None:
    """Nothing is decoded, joined or put in order on the way."""
    target = "/a%2fb//%C3%A9%ff/x;y=%20?q=%2f&q=1&empty&b=+"
    said = (await gateway.ask(target)).json()
    assert said["target"] == target


async def test_headers_of_one_hop_and_of_the_edge_end_here(gateway: Gateway, web: Service) -> None:
    """End-to-end fields arrive; `Connection`'s, and whatever only the edge may say, do not."""
    headers = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Request-Id": "7",
        "traceparent": "00-0-0-00",
        "Authorization": "Bearer x",
        "X-Name": "é",
        "Connection": "x-hop",
        "X-Hop": "1",
        "TE": "trailers",
        "Cloudlet-Client": "forged",
    }
    said = dict((await gateway.ask("/", headers=headers)).json()["headers"])
    kept = ("x-forwarded-for", "x-request-id", "traceparent", "authorization", "x-name")
    assert [said[name] for name in kept] == ["192.0.2.1", "7", "00-0-0-00", "Bearer x", "é"]
    assert not {"x-hop", "te", "cloudlet-client", "cloudlet-route"} & set(said)


async def test_answers_come_back_as_they_are(gateway: Gateway, web: Service) -> None:
    """Status, repeated fields and compressed bytes are the service's; what it says in the edge's name is not."""
    body = gzip.compress(b"hello")

    async def answer(_: web_server.Request) -> web_server.Response:
        made = web_server.Response(
            status=299, body=body, headers={"content-encoding": "gzip", "cloudlet-refused": "forged"}
        )
        made.headers.add("set-cookie", "a=1")
        made.headers.add("set-cookie", "b=2")
        return made

    web.answer = answer
    got = await gateway.ask("/")
    assert (got.status, got.body) == (299, body)
    assert got.headers.getall("set-cookie") == ["a=1", "b=2"]
    assert "cloudlet-refused" not in got.headers


async def test_redirects_and_heads_are_passed_on(gateway: Gateway, web: Service) -> None:
    """A redirect is the client's to follow; HEAD keeps the length of what it does not bring."""
    web.says("", 302, location="/elsewhere")
    assert (await gateway.ask("/")).headers["location"] == "/elsewhere"
    web.says({"a": 1})
    said = await gateway.ask("/", "HEAD")
    assert (said.status, said.headers["content-length"], said.body) == (200, "8", b"")


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_stream_through(gateway: Gateway, web: Service, chunked: bool) -> None:
    """30 MB pass, with a length or without one, and are held by nobody on the way."""
    seen = 0

    async def answer(request: web_server.Request) -> web_server.Response:
        nonlocal seen
        async for chunk in request.content.iter_any():
            seen += len(chunk)
        return web_server.Response()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b"x" * 100_000

    web.answer = answer
    headers = {} if chunked else {"Content-Length": "30000000"}
    assert (await gateway.ask("/", "POST", body=pieces(), headers=headers)).status == 200
    assert seen == 30_000_000


async def test_an_unknown_label_is_nobodys(gateway: Gateway, web: Service) -> None:
    """Neither without a label nor with a wrong one is a service asked."""
    for label in ("", "nobody"):
        said = await gateway.ask("/", label=label)
        assert (said.status, said.headers["content-type"]) == (404, "application/problem+json")
        assert said.headers["cloudlet-refused"] == "no-route"


async def test_websockets_are_refused(gateway: Gateway, web: Service) -> None:
    """Where steps look into requests there is no channel past them."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert (await gateway.ask("/", headers=headers)).status == 501


async def test_an_answer_that_breaks_off_breaks_off_for_the_client(gateway: Gateway, web: Service) -> None:
    """Half an answer is never made to look whole."""

    async def answer(request: web_server.Request) -> web_server.StreamResponse:
        made = web_server.StreamResponse()
        await made.prepare(request)
        await made.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return made

    web.answer = answer
    with pytest.raises(aiohttp.ClientPayloadError):
        await gateway.ask("/")


async def test_a_late_or_missing_service_is_told_apart(gateway: Gateway, web: Service) -> None:
    """504 when the route's time is over, 502 when nobody is there."""
    held = asyncio.Event()

    async def answer(_: web_server.Request) -> web_server.Response:
        await held.wait()
        return web_server.Response()

    web.answer = answer
    assert (await gateway.ask("/", label="late")).status == 504
    held.set()
    await web.stop()
    said = await gateway.ask("/")
    assert (said.status, said.json()["detail"]) == (502, "web cannot be reached")


async def test_a_post_is_sent_once(gateway: Gateway, web: Service) -> None:
    """When the service hangs up on it, it is not sent again behind the client's back; a GET is."""
    hang_up = True

    async def answer(request: web_server.Request) -> web_server.Response:
        nonlocal hang_up
        if hang_up and request.path == "/once":
            hang_up = request.method == "POST"
            assert request.transport is not None
            request.transport.abort()
        return web_server.Response()

    web.answer = answer
    assert (await gateway.ask("/")).status == 200
    assert (await gateway.ask("/once", "POST", body="x")).status == 502
    assert web.targets.count("/once") == 1
    assert (await gateway.ask("/once")).status == 200
    assert web.targets.count("/once") == 3


async def test_a_client_that_leaves_ends_the_stream(gateway: Gateway, web: Service) -> None:
    """The service is let go when nobody reads any more."""
    ended = asyncio.Event()

    async def answer(request: web_server.Request) -> web_server.StreamResponse:
        made = web_server.StreamResponse()
        await made.prepare(request)
        try:
            while True:
                await made.write(b"x" * 1000)
                await asyncio.sleep(0.005)
        except (ConnectionResetError, asyncio.CancelledError):
            ended.set()
            raise

    web.answer = answer
    headers = {"Cloudlet-Route": "r"}
    async with aiohttp.ClientSession() as client:
        got = await client.get(f"http://127.0.0.1:{gateway.port}/", headers=headers)
        await got.content.readany()
        got.close()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_sigterm_ends_when_what_is_under_way_is_answered(tmp_path: Path, web: Service) -> None:
    """A request that is there when the end is announced gets its answer, and the process is gone after it."""
    gateway = await asyncio.to_thread(start, tmp_path, {"r": {"to": "web"}}, web=web.port)
    arrived, go = asyncio.Event(), asyncio.Event()

    async def answer(_: web_server.Request) -> web_server.Response:
        arrived.set()
        await go.wait()
        return web_server.json_response({"late": True})

    web.answer = answer
    asked = asyncio.create_task(gateway.ask("/"))
    await arrived.wait()
    assert gateway.process is not None
    gateway.process.terminate()
    async with asyncio.timeout(5):
        while await asyncio.to_thread(gateway.healthy):
            await asyncio.sleep(0.01)
    assert gateway.process.poll() is None
    go.set()
    assert (await asked).json() == {"late": True}
    assert await asyncio.to_thread(gateway.stop) == 0


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """It holds secrets."""
    gateway = Gateway(tmp_path, GatewayConfiguration())
    gateway.file.chmod(0o644)
    status, said = refused(gateway)
    assert (status, "open to everybody" in said) == (2, True)


def test_a_broken_file_is_told_without_its_secrets(tmp_path: Path) -> None:
    """What is wrong is said, what is in it is not."""
    gateway = Gateway(tmp_path, GatewayConfiguration(session_key="hush"))
    gateway.file.write_text(json.dumps({"session_key": ["hush"], "store": "hush"}))
    status, said = refused(gateway)
    assert status == 2
    assert "session_key" in said and "hush" not in said


def refused(gateway: Gateway) -> tuple[int, str]:
    said = gateway.launch().communicate(timeout=20)[1].decode()
    assert gateway.process is not None
    return gateway.process.returncode, said
