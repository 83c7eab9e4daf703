"""Whether a descriptor set holds what a route asks of it. Only its outline is read; the gateway service reads the rest.

protobuf comes with the extra `grpc`, so it is imported when a route needs it.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from cloudlet.stack.findings import suggestion

_FIX = "`protoc --include_imports -o FILE` writes one"
_LARGEST = 16_000_000


def missing_extra() -> bool:
    """Whether the packages that speak gRPC are not installed."""
    return any(_absent(name) for name in ("grpc", "grpc_reflection", "google.protobuf"))


def _absent(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:
        return True


def descriptor_problem(file: Path, service: str, method: str | None) -> tuple[str, str] | None:
    """(what is wrong, the fix), or None. Needs the extra."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except OSError as error:
        return f"{file} cannot be read: {(error.strerror or str(error)).lower()}", "check the path and its permissions"
    files = _files(content) if len(content) <= _LARGEST else None
    if not files:
        return f"{file} is not a descriptor set", _FIX
    services = {f"{item.package}.{found.name}".removeprefix("."): found for item in files for found in item.service}
    if service not in services:
        return f'{file} holds no service "{service}"', suggestion(service, services, "it has")
    methods = [found.name for found in services[service].method]
    if method is not None and method not in methods:
        return f'{service} has no method "{method}"', suggestion(method, methods, "its methods")
    return None


def _files(content: bytes) -> Any:
    """The descriptions in it; None where it is no descriptor set."""
    descriptors: Any = importlib.import_module("google.protobuf.descriptor_pb2")
    failure: Any = importlib.import_module("google.protobuf.message").DecodeError
    try:
        return descriptors.FileDescriptorSet.FromString(content).file
    except failure:
        return None
