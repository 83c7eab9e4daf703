"""Asks a server for its descriptors (grpc.reflection.v1, and v1alpha of older servers; their messages are the same)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2

from cloudlet.gateway.grpc.schema import Schema, SchemaError, from_files

#: seconds for the whole conversation, and files of it
TIMEOUT, MOST_FILES = 5.0, 500
_METHODS = tuple(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha"))


async def reflected(channel: Any, service: str) -> Schema:
    """Raises SchemaError, and grpc.aio.AioRpcError where the server is not there."""
    for method in _METHODS:
        try:
            return from_files(await _files(channel, method, service), service)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
    raise SchemaError("the server offers no reflection; give `descriptors: FILE` instead")


async def _files(channel: Any, method: str, service: str) -> list[Any]:
    """The file of the service and everything that it imports."""
    call = channel.stream_stream(
        method,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )(timeout=TIMEOUT)
    try:
        found: dict[str, Any] = {}
        async for file in _asked(call, reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)):
            found[file.name] = file
        while missing := {name for file in found.values() for name in file.dependency} - found.keys():
            if len(found) + len(missing) > MOST_FILES:
                raise SchemaError(f"the server's descriptors are more than {MOST_FILES} files")
            for name in missing:
                found[name] = descriptor_pb2.FileDescriptorProto(name=name)
                async for file in _asked(call, reflection_pb2.ServerReflectionRequest(file_by_filename=name)):
                    found[file.name] = file
        return list(found.values())
    finally:
        call.cancel()


async def _asked(call: Any, request: Any) -> AsyncIterator[Any]:
    await call.write(request)
    answer = await call.read()
    if answer is grpc.aio.EOF:
        await call.code()
        raise grpc.aio.AioRpcError(await call.code(), await call.initial_metadata(), await call.trailing_metadata())
    if answer.HasField("error_response"):
        # a well-known file that a server does not give is our own anyhow
        if request.HasField("file_by_filename"):
            return
        raise SchemaError(f"the server says: {answer.error_response.error_message}")
    for content in answer.file_descriptor_response.file_descriptor_proto:
        yield descriptor_pb2.FileDescriptorProto.FromString(content)
