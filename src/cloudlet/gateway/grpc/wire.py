"""Two messages of Google's that every descriptor set may speak of without holding them: how a method is reached by HTTP
(google.api.http, an option of methods) and what stands behind a status (google.rpc.Status). Declared here as far as
they are read, so that no package with generated code is needed (google/api/http.proto, google/rpc/status.proto).
"""

from __future__ import annotations

from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
#: the number of the extension `google.api.http` of google.protobuf.MethodOptions
_HTTP = 72295728


def _field(name: str, number: int, kind: str = "", *, repeated: bool = False) -> Any:
    made = _FIELD(name=name, number=number)
    made.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    made.type = _FIELD.TYPE_MESSAGE if kind.startswith(".") else getattr(_FIELD, f"TYPE_{kind or 'STRING'}")
    if kind.startswith("."):
        made.type_name = kind
    return made


def _file() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="cloudlet/wire.proto", package="cloudlet.wire", syntax="proto3")
    file.dependency.append("google/protobuf/any.proto")
    verbs = [_field(name, number) for number, name in enumerate(("get", "put", "post", "delete", "patch"), 2)]
    custom = file.message_type.add(name="Custom")
    custom.field.extend([_field("kind", 1), _field("path", 2)])
    rule = file.message_type.add(name="Rule")
    rule.field.extend([*verbs, _field("body", 7), _field("custom", 8, ".cloudlet.wire.Custom")])
    rule.field.extend([_field("additional_bindings", 11, ".cloudlet.wire.Rule", repeated=True)])
    rule.field.extend([_field("response_body", 12)])
    file.message_type.add(name="Options").field.extend([_field("http", _HTTP, ".cloudlet.wire.Rule")])
    status = file.message_type.add(name="Status")
    status.field.extend([_field("code", 1, "INT32"), _field("message", 2)])
    status.field.extend([_field("details", 3, ".google.protobuf.Any", repeated=True)])
    return file


def _classes() -> tuple[Any, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(_file())
    found = (pool.FindMessageTypeByName(f"cloudlet.wire.{name}") for name in ("Options", "Status"))
    options, status = (message_factory.GetMessageClass(descriptor) for descriptor in found)
    return options, status


_Options, Status = _classes()


def http_rules(options: bytes) -> list[Any]:
    """The rules of a method's serialised options, the first one and its additional bindings."""
    parsed = _Options.FromString(options)
    if not parsed.HasField("http"):
        return []
    return [parsed.http, *parsed.http.additional_bindings]
