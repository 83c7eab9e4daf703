"""How a gRPC status is told by HTTP: google.rpc.Code's mapping, and problem details with code, message and details."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from cloudlet.gateway.grpc.wire import Status
from cloudlet.gateway.headers import Headers
from cloudlet.gateway.response import Response

#: google/rpc/code.proto
_HTTP: Mapping[str, int] = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
_DETAILS = "grpc-status-details-bin"


def problem(error: Any, pool: Any) -> Response:
    """The answer for a call that failed before anything was answered."""
    said = told(error, pool)
    status = _HTTP.get(said["code"], 500)
    value = {"type": "about:blank", "title": said["code"], "status": status, "detail": said["message"], **said}
    del value["message"]
    headers = Headers([("content-type", "application/problem+json"), ("cache-control", "no-store")])
    return Response(status, headers, json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n")


def told(error: grpc.aio.AioRpcError, pool: Any) -> dict[str, Any]:
    """Code, message and details."""
    trailing = error.trailing_metadata() or ()
    details = next((value for name, value in trailing if name == _DETAILS), b"")
    said: dict[str, Any] = {"code": error.code().name, "message": error.details() or ""}
    listed = _details(details, pool) if isinstance(details, bytes) and details else []
    return {**said, "details": listed} if listed else said


def _details(content: bytes, pool: Any) -> list[Any]:
    try:
        return [_detail(item, pool) for item in Status.FromString(content).details]
    except DecodeError:
        return []


def _detail(item: Any, pool: Any) -> Any:
    """As JSON where its type is known, else as it came."""
    try:
        return json_format.MessageToDict(item, descriptor_pool=pool)
    except (TypeError, ValueError, KeyError, DecodeError, json_format.Error):
        return {"@type": item.type_url, "value": base64.b64encode(item.value).decode()}
