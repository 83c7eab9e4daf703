"""A gRPC service as its descriptors say: its methods, their messages, and how they are reached by HTTP. Pure.

Every schema has a pool of its own: two services may know different versions of one message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.message import DecodeError

from cloudlet.gateway.grpc.wire import http_rules

_WELL_KNOWN: Mapping[str, bytes] = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (
        any_pb2,
        api_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        source_context_pb2,
        struct_pb2,
        timestamp_pb2,
        type_pb2,
        wrappers_pb2,
    )
}
#: only options come from there, and those are read as they are (wire.py)
_OPTIONS_ONLY = ("google/api/", "protoc-gen-openapiv2/", "buf/validate/", "validate/", "gogoproto/")


class SchemaError(Exception):
    """Descriptors that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """`request` and `response` are classes of messages, `path` the method's name on the wire."""

    name: str
    path: str
    request: Any
    response: Any
    client_streaming: bool
    server_streaming: bool
    #: google.api.http, in its order; empty where there is none
    rules: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """One service. `pool` also resolves what stands in `google.protobuf.Any`."""

    service: str
    methods: Mapping[str, Method]
    pool: Any

    def method(self, name: str) -> Method:
        """Raises SchemaError."""
        found = self.methods.get(name)
        if found is None:
            there = ", ".join(self.methods) or "none"
            raise SchemaError(f"{self.service} has no method {name}; its methods: {there}")
        return found


def from_set(content: bytes, service: str) -> Schema:
    """Of a FileDescriptorSet, as `protoc --include_imports -o FILE` writes it. Raises SchemaError."""
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(content).file
    except DecodeError as error:
        raise SchemaError("it is not a descriptor set; `protoc --include_imports -o FILE` writes one") from error
    return from_files(files, service)


def from_files(files: Iterable[Any], service: str) -> Schema:
    """Raises SchemaError."""
    by_name = {file.name: file for file in files}
    if not by_name:
        raise SchemaError("it holds no file; `protoc --include_imports -o FILE` writes a descriptor set")
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()
    for name in by_name:
        _add(name, by_name, pool, added, ())
    package, _, short = service.rpartition(".")
    for file in by_name.values():
        for found in file.service:
            if (file.package, found.name) == (package, short):
                return Schema(service, {item.name: _method(item, service, pool) for item in found.method}, pool)
    there = ", ".join(sorted(_services(by_name.values()))) or "none"
    raise SchemaError(f"there is no service {service} in it; its services: {there}")


def _services(files: Iterable[Any]) -> list[str]:
    return [f"{file.package}.{found.name}".removeprefix(".") for file in files for found in file.service]


def _add(name: str, files: Mapping[str, Any], pool: Any, added: set[str], above: tuple[str, ...]) -> None:
    """What a file needs first. Well-known types are our own, whatever the set has under their names."""
    if name in added:
        return
    if name in above:
        raise SchemaError(f"{name} imports itself")
    file = files.get(name)
    if name in _WELL_KNOWN:
        file = descriptor_pb2.FileDescriptorProto.FromString(_WELL_KNOWN[name])
    elif file is None and name.startswith(_OPTIONS_ONLY):
        file = descriptor_pb2.FileDescriptorProto(name=name, syntax="proto3")
    elif file is None:
        raise SchemaError(f"{above[-1]} imports {name}, which is not in it; write it with `protoc --include_imports`")
    for needed in file.dependency:
        _add(needed, files, pool, added, (*above, name))
    try:
        pool.AddSerializedFile(file.SerializeToString())
    except (TypeError, ValueError) as error:
        raise SchemaError(f"{name} cannot be used: {error}") from error
    added.add(name)


def _method(item: Any, service: str, pool: Any) -> Method:
    try:
        request, response = (
            message_factory.GetMessageClass(pool.FindMessageTypeByName(kind.lstrip(".")))
            for kind in (item.input_type, item.output_type)
        )
        rules = tuple(http_rules(item.options.SerializeToString()))
    except (KeyError, DecodeError) as error:
        raise SchemaError(f"the method {service}.{item.name} cannot be used: {error}") from error
    path = f"/{service}/{item.name}"
    return Method(item.name, path, request, response, item.client_streaming, item.server_streaming, rules)
