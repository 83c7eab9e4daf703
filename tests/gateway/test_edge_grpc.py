"""JSON to gRPC the whole way: client, edge, gateway service, edge, gRPC servers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloudlet.contracts.gateway import GatewayConfiguration
from tests.edge.conftest import (
    Harness,
    harness,  # noqa: F401  (a fixture)
)

from .front import Front, designed
from .shop_grpc import SERVICE, OrderServer, descriptor_set


@pytest.fixture
async def servers() -> AsyncIterator[list[OrderServer]]:
    made = [await OrderServer().start(reflects=True) for _ in range(2)]
    yield made
    for server in made:
        await server.stop()


@pytest.fixture
async def front(harness: Harness, tmp_path: Path, servers: list[OrderServer]) -> AsyncIterator[Front]:  # noqa: F811
    file = tmp_path / "shop.pb"
    file.write_bytes(descriptor_set())
    made = Front(harness, tmp_path)
    designs = (
        designed("/v1/*", "orders", grpc={"service": SERVICE, "descriptors": file}),
        designed("/seen/{id}", "orders", grpc={"service": SERVICE, "reflection": True, "method": "Get"}),
    )
    await made.start(GatewayConfiguration(), designs, {"orders": tuple(server.port for server in servers)})
    yield made
    await made.stop()


async def test_calls_are_balanced_one_by_one(front: Front, servers: list[OrderServer]) -> None:
    """Over one connection, to both servers; who asks is told, and nobody can say so himself."""
    client = front.harness.client
    forged = {"X-Forwarded-User": "root", "X-Request-Id": "r-7", "Cloudlet-Route": "nonsense"}
    for number in range(20):
        path = f"/v1/orders/{number}" if number % 2 else f"/seen/{number}"
        async with client.get(path, headers=forged) as answer:
            assert answer.status == 200, await answer.text()
            assert (await answer.json())["id"] == str(number)
    assert min(len(server.metadata) for server in servers) >= 8
    told = servers[0].metadata[0]
    assert told["x-request-id"] == "r-7" and told["x-forwarded-for"] == "127.0.0.1"
    assert "x-forwarded-user" not in told
    async with client.get("/v1/orders/7?fail=NOT_FOUND") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "NOT_FOUND")
    async with client.post("/v1/Add", data=b'{"totalCents":1}\n{"totalCents":2}\n', headers=_NDJSON) as answer:
        assert await answer.json() == {"orders": 2, "totalCents": "3"}


_NDJSON = {"Content-Type": "application/x-ndjson"}


async def test_streams_come_as_they_are_sent(front: Front, servers: list[OrderServer]) -> None:
    """The first message is there while the service still holds the second; who leaves ends the call."""
    async with front.harness.client.get("/v1/orders/7/events?fail=hold") as answer:
        assert json.loads(await answer.content.readline())["id"] == "7-0"
        assert not any(server.ended for server in servers)
        answer.close()
    await _ended(servers)


async def _ended(servers: list[OrderServer]) -> None:
    async with asyncio.timeout(5):
        while not any(server.ended for server in servers):
            await asyncio.sleep(0.01)


async def test_both_ways_at_once_over_http_1(front: Front) -> None:
    """HTTP/1.1 in chunks: each answer comes before the next question, where the client can do so."""
    questions: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def body() -> AsyncIterator[bytes]:
        while (question := await questions.get()) is not None:
            yield question

    took = []
    questions.put_nowait(b'{"id":"1"}\n')
    async with front.harness.client.post("/v1/Chat", data=body(), headers=_NDJSON) as answer:
        for number in range(1, 4):
            began = time.monotonic()
            assert json.loads(await answer.content.readline())["id"] == f"re: {number}"
            took.append(time.monotonic() - began)
            questions.put_nowait(f'{{"id":"{number + 1}"}}\n'.encode())
        questions.put_nowait(None)
        assert json.loads(await answer.content.readline())["id"] == "re: 4"
        assert await answer.content.readline() == b""
    print(f"a question and its answer: {min(took[1:]) * 1000:.1f} ms")
    assert min(took[1:]) < 0.15, "nobody on the way waits for more (without http-no-delay it takes 400 ms)"


async def test_both_ways_at_once_over_http_2(front: Front, servers: list[OrderServer]) -> None:
    """The same over HTTP/2; and a client that is killed in the middle ends the call."""
    command = "curl -sN --http2-prior-knowledge -X POST -H Content-Type:application/x-ndjson -T ."
    child = await asyncio.create_subprocess_exec(
        *command.split(),
        f"http://127.0.0.1:{front.harness.port}/v1/Chat",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None and child.stdout is not None
    for number in range(3):
        child.stdin.write(f'{{"id":"{number}"}}\n'.encode())
        await child.stdin.drain()
        async with asyncio.timeout(5):
            assert json.loads(await child.stdout.readline())["id"] == f"re: {number}"
    assert not any(server.ended for server in servers)
    child.kill()
    await child.wait()
    await _ended(servers)


async def test_a_server_that_dies(front: Front, servers: list[OrderServer]) -> None:
    """What came as GET is asked of the other one; nobody sees an error."""

    async def ask(number: int) -> int:
        async with front.harness.client.get(f"/v1/orders/{number}") as answer:
            return answer.status

    first = asyncio.gather(*(ask(n) for n in range(100)))
    await servers[0].stop()
    assert set(await first) == {200}
    assert {await ask(n) for n in range(20)} == {200}
