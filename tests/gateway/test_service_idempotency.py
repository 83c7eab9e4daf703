"""Keyed requests, by two real instances of the gateway service that share a real Valkey."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web as web_server

from cloudlet.gateway.idempotency_store import Claim, IdempotencyStore, Known

from .service import Gateway, Service, valkey
from .service import gateway as start

ROUTES = {"r": {"to": "web", "idempotency": "1h"}, "other": {"to": "web", "idempotency": {"required": True}}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with valkey(tmp_path_factory.mktemp("valkey")) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, web_port: int, store: tuple[str, object]) -> Iterator[Gateway]:
    made = start(tmp_path_factory.mktemp("gateway"), ROUTES, store[0], web=web_port)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, web_port: int, store: tuple[str, object]) -> Iterator[Gateway]:
    made = start(tmp_path_factory.mktemp("second"), ROUTES, store[0], web=web_port)
    yield made
    made.stop()


@pytest.fixture
def key(request: pytest.FixtureRequest) -> dict[str, str]:
    """A key of the test's own."""
    return {"Idempotency-Key": f'"{request.node.nodeid[-200:]}"'.replace(" ", "")}


async def numbered(request: web_server.Request) -> web_server.Response:
    numbered.count += 1  # type: ignore[attr-defined]
    await request.read()
    headers = {"X-Mine": "1", "Set-Cookie": "a=1"}
    return web_server.json_response({"number": numbered.count}, status=201, headers=headers)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def counting(web: Service) -> None:
    numbered.count = 0  # type: ignore[attr-defined]
    web.answer = numbered


async def test_the_first_answer_is_given_again(
    gateway: Gateway, second: Gateway, web: Service, key: dict[str, str]
) -> None:
    """Status, headers and body, by whichever instance; the service is asked once."""
    first = await gateway.ask("/pay?x=1", "POST", json={"a": 1}, headers=key)
    again = await second.ask("/pay?x=1", "POST", json={"a": 1}, headers=key)
    assert (first.status, again.status, first.body) == (201, 201, again.body)
    assert (again.headers["x-mine"], again.headers["set-cookie"]) == ("1", "a=1")
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    assert len(web.targets) == 1


@pytest.mark.parametrize("change", ["body", "target", "method", "type"])
async def test_a_key_is_for_one_request(gateway: Gateway, web: Service, key: dict[str, str], change: str) -> None:
    """The same key with anything else is refused."""
    await gateway.ask("/pay", "POST", body="a", headers=key)
    target, method, body = "/pay", "POST", "a"
    if change == "type":
        key["Content-Type"] = "text/html"
    target, method, body = {
        "body": (target, method, "b"),
        "target": ("/pay?y", method, body),
        "method": (target, "PUT", body),
        "type": (target, method, body),
    }[change]
    said = await gateway.ask(target, method, body=body, headers=key)
    assert (said.problem, len(web.targets)) == ("422 idempotency-key", 1)


async def test_a_key_is_its_users_and_its_routes(gateway: Gateway, web: Service, key: dict[str, str]) -> None:
    """Nobody gets another's answer, nor that of another route, by guessing a key."""
    for who in ({"X-Forwarded-User": "ann"}, {"X-Forwarded-User": "bob"}, {"Authorization": "x"}, {}):
        said = await gateway.ask("/", "POST", body="a", headers={**key, **who})
        assert "idempotency-replayed" not in said.headers
    await gateway.ask("/", "POST", label="other", body="a", headers=key)
    assert len(web.targets) == 5


async def test_a_second_waits_for_the_first(
    gateway: Gateway, second: Gateway, web: Service, key: dict[str, str]
) -> None:
    """At both instances at once: one is carried out, all get its answer."""
    arrived, go = asyncio.Event(), asyncio.Event()

    async def answer(request: web_server.Request) -> web_server.Response:
        arrived.set()
        await go.wait()
        return await numbered(request)

    web.answer = answer
    asked = [asyncio.create_task(one.ask("/", "POST", body="a", headers=key)) for one in (gateway, second) * 5]
    await arrived.wait()
    go.set()
    bodies = {(await one).body for one in asked}
    assert (len(bodies), len(web.targets)) == (1, 1)


async def test_a_failure_is_not_kept(gateway: Gateway, web: Service, key: dict[str, str]) -> None:
    """After a 5xx, a refused credential or a lost service the next one is carried out."""
    for status in (500, 503, 429, 401):
        web.says({}, status)
        assert (await gateway.ask("/", "POST", body="a", headers=key)).status == status
    await web.stop()
    assert (await gateway.ask("/", "POST", body="a", headers=key)).status == 502
    await web.start()
    web.answer = numbered
    assert (await gateway.ask("/", "POST", body="a", headers=key)).status == 201


async def test_a_clients_mistake_is_kept(gateway: Gateway, web: Service, key: dict[str, str]) -> None:
    """The same request would meet the same refusal."""
    web.says({"wrong": True}, 422)
    for _ in range(2):
        assert (await gateway.ask("/", "POST", body="a", headers=key)).json() == {"wrong": True}
    assert len(web.targets) == 1


async def test_an_answer_too_large_to_keep_is_not_made_twice(
    gateway: Gateway, web: Service, key: dict[str, str]
) -> None:
    """It is given once, whole; asked again, the request is refused rather than carried out again."""

    async def answer(request: web_server.Request) -> web_server.StreamResponse:
        made = web_server.StreamResponse()
        await made.prepare(request)
        for _ in range(30):
            await made.write(b"x" * 100_000)
        return made

    web.answer = answer
    said = await gateway.ask("/", "POST", body="a", headers=key)
    assert (said.status, len(said.body)) == (200, 3_000_000)
    assert (await gateway.ask("/", "POST", body="a", headers=key)).problem == "409 idempotency-key"
    assert len(web.targets) == 1


async def test_keys_where_they_are_required(gateway: Gateway, web: Service) -> None:
    """400 without one, for what must not be repeated; and for what is no key."""
    assert (await gateway.ask("/", "POST", label="other", body="a")).problem == "400 idempotency-key"
    assert (await gateway.ask("/", "POST", label="r", body="a")).status == 201
    assert (await gateway.ask("/", "GET", label="other")).status == 201
    for wrong in ("", "x" * 256, "a b", 'a"b'):
        said = await gateway.ask("/", "POST", body="a", headers={"Idempotency-Key": wrong})
        assert said.problem == "400 idempotency-key", wrong


async def test_reading_ignores_keys(gateway: Gateway, web: Service, key: dict[str, str]) -> None:
    """A GET is carried out each time."""
    for _ in range(2):
        await gateway.ask("/", headers=key)
    assert len(web.targets) == 2


async def test_without_the_store_nothing_keyed_is_carried_out(
    gateway: Gateway, web: Service, key: dict[str, str], store: tuple[str, subprocess.Popen[bytes]]
) -> None:
    """503 for what has a key; all else goes on."""
    store[1].send_signal(signal.SIGSTOP)
    try:
        said = await gateway.ask("/", "POST", body="a", headers=key)
        assert (said.problem, said.headers["retry-after"], web.targets) == ("503 store-away", "1", [])
        assert (await gateway.ask("/", "POST", body="a")).status == 201
    finally:
        store[1].send_signal(signal.SIGCONT)
    async with asyncio.timeout(10):
        while (await gateway.ask("/", "POST", body="a", headers=key)).status != 201:
            await asyncio.sleep(0.05)


async def test_a_dead_gateways_key_is_free_after_a_while(
    tmp_path: Path, second: Gateway, web: Service, key: dict[str, str], store: tuple[str, object]
) -> None:
    """Who asks meanwhile waits for it, carries the request out, and gets its answer."""
    first = await asyncio.to_thread(start, tmp_path, ROUTES, store[0], web=web.port)
    arrived, never = asyncio.Event(), asyncio.Event()

    async def answer(_: web_server.Request) -> web_server.Response:
        arrived.set()
        await never.wait()
        return web_server.Response()

    web.answer = answer
    lost = asyncio.create_task(first.ask("/", "POST", body="a", headers=key))
    await arrived.wait()
    first.kill()
    web.answer = numbered
    said = await second.ask("/", "POST", body="a", headers=key)
    assert (said.status, len(web.targets)) == (201, 2)
    await asyncio.gather(lost, return_exceptions=True)
    never.set()


@pytest.fixture
async def kept(store: tuple[str, object]) -> AsyncIterator[IdempotencyStore]:
    made = IdempotencyStore(store[0])
    yield made
    await made.close()


async def gone(store: IdempotencyStore, digest: str) -> Claim:
    """A new claim as soon as the former one has expired."""
    async with asyncio.timeout(5):
        while isinstance(found := await store.begin(digest, "f" * 64, 5), Known):
            await asyncio.sleep(0.01)
    return found


async def test_a_former_holder_changes_nothing(kept: IdempotencyStore) -> None:
    """Once its key was taken over, it can neither renew, release nor answer."""
    former = await gone(kept, "fenced")
    assert isinstance(former, Claim) and await kept.renew(former, 0.01)
    holder = await gone(kept, "fenced")
    assert not await kept.renew(former, 5)
    assert not await kept.finish(former, b"old", 5)
    await kept.release(former)
    assert isinstance(await kept.begin("fenced", "f" * 64, 5), Known)
    assert await kept.finish(holder, b"new", 5)
    assert await kept.begin("fenced", "f" * 64, 5) == Known("f" * 64, b"new")


async def test_a_late_answer_is_kept_where_nobody_took_over(kept: IdempotencyStore) -> None:
    """A holder whose lock expired unseen tells the truth all the same; it cannot renew what is not there."""
    claim = await gone(kept, "late")
    await kept.renew(claim, 0.001)
    async with asyncio.timeout(5):
        while await kept.renew(claim, 0.001):
            await asyncio.sleep(0.01)
    assert await kept.finish(claim, b"true", 5)
    assert await kept.begin("late", "f" * 64, 5) == Known("f" * 64, b"true")
