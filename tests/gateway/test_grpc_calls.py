"""JSON over HTTP to a real gRPC server, all four kinds of calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cloudlet.contracts.gateway import GatewayConfiguration
from cloudlet.errors import OperatorError
from cloudlet.gateway.grpc.source import Grpc
from cloudlet.gateway.headers import Headers
from cloudlet.gateway.request import Body, Request
from cloudlet.gateway.response import Response
from cloudlet.gateway.server import Application
from cloudlet.stack.gateway import Route

from .asking import read
from .shop_grpc import SERVICE, OrderServer, descriptor_set

FULL = {
    "id": "7",
    "totalCents": "9007199254740993",
    "state": "PAID",
    "note": "aGVsbG8=",
    "tags": ["a", "b"],
    "at": "2026-11-21T12:00:00Z",
    "weight": 1.5,
    "paid": True,
    "extra": {"@type": "type.googleapis.com/shop.v1.Sum", "orders": 3, "totalCents": "0"},
    "gift": False,
}


@pytest.fixture
async def orders() -> AsyncIterator[OrderServer]:
    made = await OrderServer().start()
    yield made
    await made.stop()


@pytest.fixture
def descriptors(tmp_path: Path) -> Path:
    (tmp_path / "shop.pb").write_bytes(descriptor_set())
    return tmp_path / "shop.pb"


class Front:
    """The gateway service with one route, and a client that sends bodies as they come."""

    def __init__(self, port: int, **route: Any) -> None:
        design = Route.model_validate({"path": "/v1/*", "to": "orders", **route})
        configuration = GatewayConfiguration(routes={"r": design}, services={"orders": f"http://127.0.0.1:{port}"})
        self.application = Application(configuration)
        self.grpc = Grpc(configuration)
        self.application.add_routes({"r": self.grpc.source(design)})

    async def ask(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None, kind: str = ""
    ) -> Response:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"content-type": kind or "application/json", **(headers or {})} if content else (headers or {})
        return await self.send(method, target, Body(content=content), fields)

    async def send(self, method: str, target: str, body: Body, headers: dict[str, str]) -> Response:
        path, _, query = target.partition("?")
        return await self.application.handle(Request(method, path, query, Headers(headers.items()), body, "r"))


def streamed(*parts: bytes | BaseException) -> Body:
    """A body that comes in parts."""
    left = list(parts)

    async def receive() -> bytes | None:
        if not left:
            return None
        part = left.pop(0)
        if isinstance(part, BaseException):
            raise part
        return part

    return Body(receive)


@pytest.fixture
async def front(orders: OrderServer, descriptors: Path) -> AsyncIterator[Front]:
    made = Front(orders.port, grpc={"service": SERVICE, "descriptors": descriptors})
    yield made
    await made.grpc.stop()


async def lines_of(response: Response) -> list[Any]:
    assert response.stream is not None, response.body
    return [json.loads(line) for line in (await response.read()).splitlines()]


async def test_annotated_paths(front: Front) -> None:
    """google.api.http: path, query, body and answer as the rule says; a second binding; a verb at the end."""
    got = read(await front.ask("GET", "/v1/orders/a%20b?order.tags=x&order.tags=y&order.paid=true&order.weight=2"))
    assert (got["id"], got["state"], got["totalCents"]) == ("a b", "PAID", "9007199254740993")
    assert (got["parent"]["tags"], got["parent"]["paid"], got["parent"]["weight"]) == (["x", "y"], True, 2.0)
    assert read(await front.ask("GET", "/v1/old/7"))["parent"]["id"] == "7"
    created = read(await front.ask("POST", "/v1/shops/9/orders", {"id": "new", "total_cents": 5}))
    assert (created["id"], created["parent"]["id"], created["parent"]["totalCents"]) == ("shops/9", "new", "5")
    closed = await front.ask("POST", "/v1/orders/7:close", {})
    assert (closed.status, closed.body) == (200, b'"OPEN"\n')


async def test_named_methods_and_the_json_mapping(front: Front) -> None:
    """A method without a rule is called by its name; what was sent comes back in every kind of field."""
    answer = await front.ask("POST", "/v1/Echo", FULL)
    assert answer.headers.get("content-type") == "application/json"
    assert read(answer) == FULL
    empty = read(await front.ask("POST", "/v1/Echo"))
    assert (empty["id"], empty["totalCents"], empty["state"], empty["tags"]) == ("", "0", "UNKNOWN", [])
    assert not {"at", "extra", "gift", "parent"} & empty.keys()


async def test_the_routes_method(orders: OrderServer, descriptors: Path) -> None:
    """The route's own path and the query fill the message beside the body."""
    grpc = {"service": SERVICE, "descriptors": descriptors, "method": "Get"}
    front = Front(orders.port, path="/buy/{id}", grpc=grpc)
    assert read(await front.ask("GET", "/buy/7"))["id"] == "7"
    got = read(await front.ask("POST", "/buy/8?count=3", {"order": {"id": "inner"}, "id": "from the body"}))
    assert (got["id"], got["parent"]["id"]) == ("8", "inner")
    await front.grpc.stop()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"unknown": 1}, "unknown"),
        ({"id": 7}, "id"),
        ({"totalCents": 1.5}, "totalCents"),
        ({"totalCents": "9999999999999999999"}, "totalCents"),
        ({"state": "GONE"}, "GONE"),
        ({"at": "yesterday"}, "Order.at"),
        ({"extra": {"@type": "type.googleapis.com/no.Such"}}, "no.Such"),
        ([], "shop.v1.Order"),
        (b"7", "shop.v1.Order"),
        (b"{", "not JSON"),
        (b'{"id":"a","id":"b"}', "twice"),
        (b'{"id":"a","totalCents":1,"total_cents":2}', "two names"),
        ({"parent": []}, "parent is no shop.v1.Order"),
        ({"parent": {"id": "a", "no": 1}}, "no"),
        (b'{"weight":NaN}', "NaN"),
        (b"[" * 100_000, "nested"),
        (b'{"parent":' * 200 + b"{}" + b"}" * 200, "depth"),
        (b"\xff", "not JSON"),
    ],
)
async def test_what_is_no_message(front: Front, body: Any, said: str) -> None:
    """It is refused with what is wrong with it, and nothing is sent."""
    answer = await front.ask("POST", "/v1/Echo", body)
    assert answer.status == 400 and said in read(answer)["detail"], answer.body
    assert answer.headers.get("cloudlet-refused") == "grpc-message"


@pytest.mark.parametrize(
    "query",
    ["unknown=1", "count=1&count=2", "order=1", "order.paid=yes", "order.weight=nan", "count=x", "order.id.x=1"],
)
async def test_a_query_that_does_not_fit(front: Front, query: str) -> None:
    """Nothing of a query is overlooked."""
    assert (await front.ask("GET", f"/v1/orders/7?{query}")).status == 400


async def test_paths_methods_and_content(front: Front) -> None:
    """404, 405 with what is allowed, 415 for what a page of another site could send, 413 for what is too large."""
    assert (await front.ask("GET", "/v1/nothing")).status == 404
    assert (await front.ask("POST", "/v1/Get", {})).status == 404, "annotated methods are reached by their rule only"
    answer = await front.ask("DELETE", "/v1/orders/7")
    assert (answer.status, answer.headers.get("allow")) == (405, "GET")
    assert (await front.ask("POST", "/v1/Echo", {}, kind="text/plain")).status == 415
    assert (await front.ask("GET", "/v1/orders/7", {})).status == 400
    large = streamed(*[b"x" * 1_000_000] * 5)
    kind = {"content-type": "application/json"}
    assert (await front.send("POST", "/v1/Echo", large, kind)).status == 413


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("INVALID_ARGUMENT", 400),
        ("UNAUTHENTICATED", 401),
        ("PERMISSION_DENIED", 403),
        ("NOT_FOUND", 404),
        ("ABORTED", 409),
        ("RESOURCE_EXHAUSTED", 429),
        ("CANCELLED", 499),
        ("INTERNAL", 500),
        ("UNIMPLEMENTED", 501),
        ("UNAVAILABLE", 503),
        ("DEADLINE_EXCEEDED", 504),
    ],
)
async def test_statuses(front: Front, code: str, status: int) -> None:
    """As google.rpc.Code says, with problem details."""
    answer = await front.ask("GET", f"/v1/orders/7?fail={code}")
    assert answer.headers.get("content-type") == "application/problem+json"
    expected = {"type": "about:blank", "title": code, "status": status, "detail": "as asked: é", "code": code}
    assert (answer.status, read(answer)) == (status, expected)


async def test_details_of_a_status(front: Front) -> None:
    """google.rpc.Status: known types as JSON, others as they came."""
    details = read(await front.ask("GET", "/v1/orders/7?fail=rich"))["details"]
    assert details == [
        {"@type": "type.googleapis.com/shop.v1.Sum", "orders": 7},
        {"@type": "type.googleapis.com/some.Thing", "value": "AQ=="},
    ]


async def test_what_the_service_is_told(front: Front, orders: OrderServer) -> None:
    """Who asks, on whose behalf, within which trace; nothing that could be taken for gRPC's own, nor cookies."""
    told = {
        "authorization": "Bearer abc",
        "x-forwarded-user": "ann",
        "x-forwarded-for": "203.0.113.7",
        "x-request-id": "r-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    other = {"cookie": "s=1", "grpc-timeout": "1n", "x-forwarded-odd": "é", "te": "x", "x-forwarded-a-bin": "!"}
    assert (await front.ask("GET", "/v1/orders/7", headers={**told, **other})).status == 200
    (metadata,) = orders.metadata
    assert {name: metadata.get(name) for name in told} == told
    assert not other.keys() & metadata.keys() - {"te"}
    assert orders.remaining == [None]


async def test_the_deadline(orders: OrderServer, descriptors: Path) -> None:
    """The route's timeout is the call's, on both sides."""
    front = Front(orders.port, grpc={"service": SERVICE, "descriptors": descriptors}, timeout="200ms")
    answer = await front.ask("GET", "/v1/orders/7?fail=slow")
    assert (answer.status, read(answer)["code"]) == (504, "DEADLINE_EXCEEDED")
    (remaining,) = orders.remaining
    assert remaining is not None and 0 < remaining < 0.25
    assert (await front.ask("GET", "/v1/orders/7/events?fail=slow")).status == 504
    await front.grpc.stop()


async def test_server_streams(front: Front) -> None:
    """A line each, or an event each; a failure at once is told by the status, a later one by the last line."""
    answer = await front.ask("GET", "/v1/orders/7/events?count=3")
    assert (answer.status, answer.headers.get("content-type")) == (200, "application/x-ndjson")
    assert [line["id"] for line in await lines_of(answer)] == ["7-0", "7-1", "7-2"]
    assert (await front.ask("GET", "/v1/orders/7/events?fail=first")).status == 404
    answer = await front.ask("GET", "/v1/orders/7/events?count=1&fail=later")
    assert (await lines_of(answer))[1:] == [{"error": {"code": "DATA_LOSS", "message": "half way"}}]
    events = {"accept": "text/event-stream"}
    answer = await front.ask("GET", "/v1/orders/7/events?count=1&fail=later", headers=events)
    assert answer.headers.get("content-type") == "text/event-stream"
    first, last = (await answer.read()).decode().split("\n\n")[:2]
    assert json.loads(first.removeprefix("data: "))["id"] == "7-0"
    assert last.startswith('event: error\ndata: {"error": {"code": "DATA_LOSS"')


async def test_a_slow_reader_slows_the_service(front: Front, orders: OrderServer) -> None:
    """The service sends what the connection's windows take, not what it has; leaving cancels the call."""
    answer = await front.ask("GET", "/v1/orders/7/events?fail=large")
    assert answer.stream is not None
    await anext(answer.stream)
    before = -1
    async with asyncio.timeout(10):
        while before != orders.sent:
            before = orders.sent
            await asyncio.sleep(0.2)
    assert orders.sent < 3000, "some megabytes at most"
    answer.close()
    async with asyncio.timeout(5):
        while not orders.ended:
            await asyncio.sleep(0.01)


async def test_client_streams(front: Front) -> None:
    """A message a line, however the lines are cut; the answer is JSON."""
    kind = {"content-type": "application/x-ndjson"}
    parts = (b'{"total_ce', b'nts": 2}\n\n{"totalCents":"3"}\r\n', b'{"totalCents": 5}')
    answer = await front.send("POST", "/v1/Add", streamed(*parts), kind)
    assert (answer.status, read(answer)) == (200, {"orders": 3, "totalCents": "10"})
    assert read(await front.send("POST", "/v1/Add", streamed(), kind))["orders"] == 0
    answer = await front.send("POST", "/v1/Add", streamed(b'{"id":"stop"}\n' + b"{}\n" * 100_000), kind)
    assert (answer.status, read(answer)["detail"]) == (429, "enough")
    answer = await front.send("POST", "/v1/Add", streamed(b'{}\n{"no": 1}\n{}\n'), kind)
    assert answer.status == 400
    answer = await front.send("POST", "/v1/Add", streamed(*[b"x" * 1_000_000] * 6), kind)
    assert answer.status == 400 and "at most" in read(answer)["detail"]


async def test_both_ways(front: Front, orders: OrderServer) -> None:
    """Each answer comes before the next question; a wrong line in the middle ends it with one that says so."""
    questions: asyncio.Queue[bytes | None] = asyncio.Queue()
    kind = {"content-type": "application/x-ndjson"}
    questions.put_nowait(b'{"id":"1"}\n')
    answer = await front.send("POST", "/v1/Chat", Body(questions.get), kind)
    assert answer.stream is not None
    stream = answer.stream
    assert json.loads(await anext(stream))["id"] == "re: 1"
    questions.put_nowait(b'{"id":"2"}\n')
    assert json.loads(await anext(stream))["id"] == "re: 2"
    questions.put_nowait(b'{"wrong":1}\n')
    assert json.loads(await anext(stream))["error"]["code"] == "INVALID_ARGUMENT"
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    answer = await front.send("POST", "/v1/Chat", streamed(b'{"id":"a"}\n{"id":"b"}\n'), kind)
    assert [line["id"] for line in await lines_of(answer)] == ["re: a", "re: b"]
    assert (await front.send("POST", "/v1/Chat", streamed(b"nonsense\n"), kind)).status == 400


async def test_a_client_that_leaves_in_the_middle(front: Front, orders: OrderServer) -> None:
    """Its call is cancelled, whichever side it was on."""
    gone = ConnectionResetError("the client is gone")
    kind = {"content-type": "application/x-ndjson"}
    parts: asyncio.Queue[bytes | BaseException] = asyncio.Queue()

    async def receive() -> bytes:
        part = await parts.get()
        if isinstance(part, BaseException):
            raise part
        return part

    parts.put_nowait(b'{"id":"1"}\n')
    answer = await front.send("POST", "/v1/Chat", Body(receive), kind)
    parts.put_nowait(gone)
    with pytest.raises(ConnectionResetError):
        await answer.read()
    with pytest.raises(ConnectionResetError):
        await front.send("POST", "/v1/Add", streamed(b"{}\n", gone), kind)
    async with asyncio.timeout(5):
        while not orders.ended:
            await asyncio.sleep(0.01)


async def test_many_streams_do_not_block_calls(front: Front) -> None:
    """More streams than one connection carries go over several; a call beside them is answered at once."""
    answers = [await front.ask("GET", f"/v1/orders/{n}/events?fail=hold") for n in range(200)]
    assert front.grpc._channels.count("orders") == 3
    assert (await front.ask("GET", "/v1/orders/7")).status == 200
    for answer in answers:
        answer.close()
    assert (await front.ask("GET", "/v1/orders/7")).status == 200
    assert front.grpc._channels.count("orders") == 3


async def test_a_service_that_is_not_there(descriptors: Path, unused_port: int) -> None:
    """503, as the edge itself would say."""
    front = Front(unused_port, grpc={"service": SERVICE, "descriptors": descriptors})
    assert (await front.ask("GET", "/v1/orders/7")).status == 503
    await front.grpc.stop()


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


async def test_reflection() -> None:
    """The server says what it can do; one that does not is a 502 with the way out."""
    orders = await OrderServer().start(reflects=True)
    front = Front(orders.port, grpc={"service": SERVICE, "reflection": True})
    answers = await asyncio.gather(*(front.ask("GET", f"/v1/orders/{n}") for n in range(20)))
    assert [read(answer)["id"] for answer in answers] == [str(n) for n in range(20)]
    absent = Front(orders.port, grpc={"service": "shop.v1.Nothing", "reflection": True})
    assert (await absent.ask("GET", "/v1/orders/7")).status == 502
    silent = await OrderServer().start()
    dumb = Front(silent.port, grpc={"service": SERVICE, "reflection": True})
    answer = await dumb.ask("GET", "/v1/orders/7")
    assert answer.status == 502 and "give `descriptors: FILE` instead" in read(answer)["detail"]
    await silent.stop()
    await orders.stop()
    assert (await front.ask("GET", "/v1/orders/7")).status == 503, "what it said last counts while it is away"
    for made in (front, absent, dumb):
        await made.grpc.stop()


@pytest.mark.parametrize(
    ("content", "service", "method", "reason"),
    [
        (b"not descriptors", SERVICE, None, "it is not a descriptor set"),
        (b"", SERVICE, None, "it holds no file"),
        (descriptor_set(), "shop.v1.Nothing", None, "its services: shop.v1.Orders"),
        (descriptor_set(), SERVICE, "Nothing", "its methods: Get, Create"),
    ],
)
def test_descriptors_that_cannot_be_used(
    tmp_path: Path, content: bytes, service: str, method: str | None, reason: str
) -> None:
    """The gateway does not start with them, and says why."""
    file = tmp_path / "shop.pb"
    file.write_bytes(content)
    with pytest.raises(OperatorError, match=reason):
        Front(1, grpc={"service": service, "descriptors": file, "method": method})
