"""A gRPC service of a shop with all four kinds of calls, its descriptors built here: there is no protoc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2, wrappers_pb2
from grpc_reflection.v1alpha import reflection

from cloudlet.gateway.grpc import wire

SERVICE = "shop.v1.Orders"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _message(file: Any, name: str, *fields: tuple[str, str]) -> None:
    """`fields` are names and kinds: `string`, `repeated int64`, `.shop.v1.Order`, `enum .shop.v1.State`."""
    made = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields, 1):
        repeated = kind.startswith("repeated ")
        kind = kind.removeprefix("repeated ")
        added = made.field.add(name=field, number=number)
        added.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
        if kind.startswith("enum "):
            added.type, added.type_name = _FIELD.TYPE_ENUM, kind.removeprefix("enum ")
        elif kind.startswith("."):
            added.type, added.type_name = _FIELD.TYPE_MESSAGE, kind
        else:
            added.type = getattr(_FIELD, f"TYPE_{kind.upper()}")


def _method(service: Any, name: str, request: str, response: str, *streams: str, **rule: Any) -> None:
    made = service.method.add(name=name, input_type=f".shop.v1.{request}", output_type=f".shop.v1.{response}")
    made.client_streaming, made.server_streaming = "client" in streams, "server" in streams
    if rule:
        options = wire._Options(http=rule)
        made.options.CopyFrom(descriptor_pb2.MethodOptions.FromString(options.SerializeToString()))


def order_file() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="shop/v1/orders.proto", package="shop.v1", syntax="proto3")
    file.dependency.extend(
        [
            "google/protobuf/timestamp.proto",
            "google/protobuf/any.proto",
            "google/protobuf/wrappers.proto",
            "google/api/annotations.proto",
        ]
    )
    state = file.enum_type.add(name="State")
    for number, name in enumerate(("UNKNOWN", "OPEN", "PAID")):
        state.value.add(name=name, number=number)
    _message(
        file,
        "Order",
        ("id", "string"),
        ("total_cents", "int64"),
        ("state", "enum .shop.v1.State"),
        ("note", "bytes"),
        ("tags", "repeated string"),
        ("at", ".google.protobuf.Timestamp"),
        ("weight", "double"),
        ("paid", "bool"),
        ("parent", ".shop.v1.Order"),
        ("extra", ".google.protobuf.Any"),
        ("gift", ".google.protobuf.BoolValue"),
    )
    _message(file, "Ask", ("id", "string"), ("count", "int32"), ("fail", "string"), ("order", ".shop.v1.Order"))
    _message(file, "Sum", ("orders", "int32"), ("total_cents", "int64"))
    service = file.service.add(name="Orders")
    _method(service, "Get", "Ask", "Order", get="/v1/orders/{id}", additional_bindings=[{"get": "/v1/old/{order.id}"}])
    _method(service, "Create", "Ask", "Order", post="/v1/{id=shops/*}/orders", body="order")
    _method(service, "Close", "Ask", "Order", post="/v1/orders/{id}:close", body="*", response_body="state")
    _method(service, "Watch", "Ask", "Order", "server", get="/v1/orders/{id}/events")
    _method(service, "Echo", "Order", "Order")
    _method(service, "Add", "Order", "Sum", "client")
    _method(service, "Chat", "Order", "Order", "client", "server")
    return file


def descriptor_set() -> bytes:
    """As protoc writes it, with what it imports (google/api/annotations.proto left out, as options need no types)."""
    files = [module.DESCRIPTOR.serialized_pb for module in (timestamp_pb2, any_pb2, wrappers_pb2)]
    made = descriptor_pb2.FileDescriptorSet()
    made.file.extend([*map(descriptor_pb2.FileDescriptorProto.FromString, files), order_file()])
    return made.SerializeToString()


def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for module in (timestamp_pb2, any_pb2, wrappers_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.Add(descriptor_pb2.FileDescriptorProto(name="google/api/annotations.proto", syntax="proto3"))
    pool.Add(order_file())
    return pool


POOL = _pool()
Order, Ask, Sum = (
    message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"shop.v1.{name}")) for name in ("Order", "Ask", "Sum")
)


def _rich_status() -> bytes:
    """google.rpc.Status with a detail of a known and one of an unknown type."""
    status = wire.Status(code=9, message="as asked")
    status.details.add(type_url="type.googleapis.com/shop.v1.Sum", value=Sum(orders=7).SerializeToString())
    status.details.add(type_url="type.googleapis.com/some.Thing", value=b"\x01")
    content: bytes = status.SerializeToString()
    return content


class OrderServer:
    """Remembers the metadata of each call, and how many streams have ended."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, str]] = []
        self.sent = self.ended = 0
        self.remaining: list[float | None] = []

    async def start(self, *, reflects: bool = False) -> OrderServer:
        kinds: dict[str, tuple[Any, Any, Any, Any]] = {
            "Get": (grpc.unary_unary_rpc_method_handler, self._get, Ask, Order),
            "Create": (grpc.unary_unary_rpc_method_handler, self._create, Ask, Order),
            "Close": (grpc.unary_unary_rpc_method_handler, self._close, Ask, Order),
            "Watch": (grpc.unary_stream_rpc_method_handler, self._watch, Ask, Order),
            "Echo": (grpc.unary_unary_rpc_method_handler, self._echo, Order, Order),
            "Add": (grpc.stream_unary_rpc_method_handler, self._add, Order, Sum),
            "Chat": (grpc.stream_stream_rpc_method_handler, self._chat, Order, Order),
        }
        handlers = {
            name: make(act, request_deserializer=request.FromString, response_serializer=response.SerializeToString)
            for name, (make, act, request, response) in kinds.items()
        }
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        if reflects:
            reflection.enable_server_reflection((SERVICE,), self._server, POOL)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return self

    def _note(self, context: Any) -> None:
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining.append(context.time_remaining())

    async def _get(self, request: Any, context: Any) -> Any:
        self._note(context)
        if request.fail == "slow":
            await asyncio.sleep(60)
        if request.fail == "rich":
            context.set_trailing_metadata((("grpc-status-details-bin", _rich_status()),))
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked")
        if request.fail:
            await context.abort(grpc.StatusCode[request.fail], "as asked: é")
        return Order(
            id=request.id or request.order.id, total_cents=2**53 + 1, state=2, tags=["a"], parent=request.order
        )

    async def _create(self, request: Any, context: Any) -> Any:
        return Order(id=request.id, parent=request.order)

    async def _close(self, request: Any, context: Any) -> Any:
        return Order(id=request.id, state=1)

    async def _echo(self, request: Any, context: Any) -> Any:
        return request

    async def _watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self._note(context)
        try:
            if request.fail == "first":
                await context.abort(grpc.StatusCode.NOT_FOUND, "no such order")
            if request.fail == "slow":
                await asyncio.sleep(60)
            for number in range(request.count or 10**9):
                yield Order(id=f"{request.id}-{number}", note=b"x" * 1000 if request.fail == "large" else b"")
                self.sent += 1
                if request.fail == "hold":
                    await asyncio.sleep(60)
            if request.fail:
                await context.abort(grpc.StatusCode.DATA_LOSS, "half way")
        finally:
            self.ended += 1

    async def _add(self, requests: AsyncIterator[Any], context: Any) -> Any:
        result = Sum()
        async for order in requests:
            if order.id == "stop":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")
            result.orders += 1
            result.total_cents += order.total_cents
        return result

    async def _chat(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        try:
            async for order in requests:
                yield Order(id=f"re: {order.id}")
        finally:
            self.ended += 1

    async def stop(self) -> None:
        await self._server.stop(None)
