"""The circuit breaker in HAProxy: against its twin in `policy/`, and against every way in which a request can end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from cloudlet.contracts.edge import Server
from cloudlet.policy import breaker as twin
from cloudlet.policy.breaker import End
from cloudlet.stack.service import Breaker

from .conftest import Harness, backend

RULE = Breaker(errors=0.5, over=10.0, at_least=10, open_for=1.0)


async def status(harness: Harness, path: str, **more: object) -> int:
    """What was answered, 0 for a connection that was closed instead."""
    try:
        async with harness.client.get(path, **more) as answer:  # type: ignore[arg-type]
            await answer.read()
            return answer.status
    except aiohttp.ClientError:
        return 0


async def table(harness: Harness, key: int) -> dict[str, int]:
    """An entry of the breaker's table."""
    text = await harness.edge._running()[0].ask("show table a")
    for line in text.splitlines():
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if words.get("key") == str(key):
            return {name: int(value) for name, value in words.items() if name.startswith(("gp", "conn"))}
    return {}


async def counted(harness: Harness, answers: int, failed: int) -> None:
    """Wait until so many are counted, of which so many failed; the answer is sent before its request has ended."""
    async with asyncio.timeout(5):
        while (found := await table(harness, 1)).get("gpc1") != answers or found["gpc2"] != failed:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def breaking(harness: Harness, instances: int = 2, **settings: object) -> AsyncIterator[None]:
    """A service whose instances answer /good, and read any other request and close."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while b"/good" in await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    servers = [Server(f"a-{n}", n, "127.0.0.1", port) for n in range(1, instances + 1)]
    await harness.start(backend("a", *servers, breaker=RULE, check=None, **settings))
    try:
        yield
    finally:
        server.close()


@pytest.mark.parametrize("seed", range(3))
async def test_it_does_what_its_twin_does(harness: Harness, seed: int) -> None:
    """Random answers, and pauses in which it becomes half-open: who is answered by the service is who the twin lets
    pass, but where a request comes within a moment of the time at which it is tried again."""
    rule = Breaker(errors=0.4, over=30.0, at_least=8, open_for=0.3)
    pure = twin.Rule(rule.errors, rule.over, rule.at_least, rule.open_for)
    await harness.start(backend("a", *await harness.servers("a", 2), breaker=rule))
    state, dice, refused = twin.State(), random.Random(seed), 0
    for _ in range(80):
        good = dice.random() < 0.55
        if state.until is not None and dice.random() < 0.3:
            await asyncio.sleep(max(0.0, state.until + 0.12 - time.monotonic()))
        now = time.monotonic()
        verdict = twin.ask(state, pure, now)
        seen = await status(harness, "/" if good else "/status/500")
        if state.until is not None and abs(state.until - now) < 0.11:
            continue  # a tenth of a second is what HAProxy's tag holds
        assert (seen in (200, 500)) is verdict.passes, verdict.because
        refused += not verdict.passes
        state = verdict.state
        if verdict.passes:
            end = End.GOOD if seen == 200 else End.FAILED
            state = twin.ended(state, pure, end, time.monotonic(), trial=verdict.trial)
    assert refused > 5


async def test_it_opens_half_opens_and_closes(harness: Harness) -> None:
    """Nothing reaches an open service; one request tries it after `open_for`; its success closes it at once."""
    await harness.start(backend("a", *await harness.servers("a", 2), breaker=RULE))
    assert [await status(harness, "/status/500") for _ in range(10)] == [500] * 10
    async with harness.client.get("/") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert answer.content_type == "application/problem+json"
        assert "the service a fails too often" in (await answer.json())["detail"]
    assert {await status(harness, "/") for _ in range(20)} == {503}
    assert sum(upstream.requests for upstream in harness.upstreams) == 10
    async with asyncio.timeout(5):
        while await status(harness, "/") != 200:
            await asyncio.sleep(0.05)
    assert sum(upstream.requests for upstream in harness.upstreams) == 11
    # what was before is forgotten: nine failures do not open it again
    assert [await status(harness, "/status/500") for _ in range(9)] == [500] * 9
    assert await status(harness, "/") == 200


async def test_one_trial_at_a_time_and_a_failed_one_opens_again(harness: Harness) -> None:
    """Of thirty that come at once to a half-open breaker, one reaches the service."""
    await harness.start(backend("a", *await harness.servers("a", 2), breaker=RULE))
    assert [await status(harness, "/status/500") for _ in range(10)] == [500] * 10
    await status(harness, "/")
    for _ in range(2):
        before = sum(upstream.requests for upstream in harness.upstreams)
        await asyncio.sleep(1.1)  # open_for
        for upstream in harness.upstreams:
            upstream.delay = 0.3
        seen = await asyncio.gather(*(status(harness, "/status/500") for _ in range(30)))
        assert sorted(seen) == [500, *[503] * 29]
        assert sum(upstream.requests for upstream in harness.upstreams) == before + 1


@pytest.mark.parametrize("instances", [2, 1])
async def test_lost_answers_open_it(harness: Harness, instances: int) -> None:
    """Instances that read and close: 502 each, until it opens."""
    async with breaking(harness, instances, retries=0):
        assert [await status(harness, "/") for _ in range(14)] == [502] * 10 + [503] * 4
        assert (await table(harness, 0))["gpc0"] == 1


async def test_answers_lost_on_kept_connections_open_it(harness: Harness) -> None:
    """There HAProxy answers 502, or hangs up without a word; the next request counts what no rule saw."""
    async with breaking(harness, retries=0):
        seen = []
        for _ in range(12):
            reader, writer = await asyncio.open_connection("127.0.0.1", harness.port)
            for path in ("/good", "/bad"):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                answer = await reader.read(65536)  # headers and body of the edge's own come at once
                seen.append(answer[9:12])
            writer.close()
        assert seen[:10:2] == [b"200"] * 5
        assert set(seen[1:10:2]) <= {b"502", b""}
        assert set(seen[10:]) == {b"503"}
        assert (await table(harness, 0))["gpc0"] == 1


async def test_refused_connections_open_it(harness: Harness) -> None:
    """Nobody listens there any more, and no check has seen it yet."""
    gone = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    servers = [Server(f"a-{n}", n, "127.0.0.1", port) for n in (1, 2)]
    await harness.start(backend("a", *servers, breaker=RULE, check=None, retries=0))
    assert [await status(harness, "/") for _ in range(10)] == [503] * 10
    await counted(harness, 10, 10)
    await status(harness, "/")
    assert (await table(harness, 0))["gpc0"] == 1


async def test_silence_opens_it(harness: Harness) -> None:
    """504 after the service's timeout."""
    servers = await harness.servers("a", 2, delay=30)
    await harness.start(backend("a", *servers, breaker=RULE, timeout=0.2, check=None))
    assert set(await asyncio.gather(*(status(harness, "/") for _ in range(10)))) == {504}
    await counted(harness, 10, 10)
    assert await status(harness, "/") == 503


@pytest.mark.parametrize("instances", [2, 1])
async def test_clients_that_go_away_do_not_open_it(harness: Harness, instances: int) -> None:
    """Whoever hangs up on a slow answer has no say in it, on a fresh connection or a kept one, whatever the method."""
    servers = await harness.servers("a", instances, delay=0.3)
    await harness.start(backend("a", *servers, breaker=RULE))

    async def leave(method: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", harness.port)
        request = f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
        for last in (False, True):
            writer.write(request)
            if not last:
                await reader.readuntil(b"}")
        await asyncio.sleep(random.random() * 0.25)
        writer.transport.abort() if random.random() < 0.5 else writer.close()

    await asyncio.gather(*(leave(method) for method in ("GET", "POST") * 30))
    await asyncio.sleep(0.5)  # longer than any answer takes
    assert await status(harness, "/") == 200
    found = await table(harness, 1)
    print(found)
    assert found["gpc2"] == 0
    assert found["gpc1"] >= 60


async def test_a_full_queue_does_not_open_it(harness: Harness) -> None:
    """503 because all instances are busy, at once or after waiting, is HAProxy's own word."""
    servers = await harness.servers("a", 2, delay=0.4)
    await harness.start(backend("a", *servers, breaker=RULE, concurrency=1, wait=0.2, wait_at_most=10))
    seen = await asyncio.gather(*(status(harness, "/") for _ in range(30)))
    assert seen.count(503) == 28
    found = await table(harness, 1)
    assert (found["gpc1"], found["gpc2"]) == (2, 0)


async def test_what_passes_the_door_counts_once(harness: Harness) -> None:
    """One instance: every request goes through HAProxy twice, and POSTs too."""
    await harness.start(backend("a", *await harness.servers("a", 1), breaker=RULE))
    for _ in range(3):
        async with harness.client.post("/", data=b"x") as answer:
            assert answer.status == 200
        assert await status(harness, "/status/500") == 500
    await counted(harness, 6, 3)


async def test_a_service_without_one_has_no_rule_of_it(harness: Harness) -> None:
    """What a file does not use costs nothing."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    assert "brk" not in harness.edge.configuration_text()
