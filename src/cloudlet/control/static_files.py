"""What static answers' files hold, read when they change. One that has gone since keeps answering with what it held."""

from __future__ import annotations

import base64
from pathlib import Path

from cloudlet.errors import OperatorError
from cloudlet.stack import Stack

_Stamp = tuple[int, int]
#: file → what tells a change, content in base64
_read: dict[Path, tuple[_Stamp, str]] = {}


def changed(stack: Stack) -> bool:
    """Whether any file that the stack's routes answer with is another one than was read."""
    routes = stack.gateway.routes if stack.gateway else ()
    files = {route.static.file for route in routes if route.static and route.static.file}
    return any(_is_another(file) for file in files)


def _is_another(file: Path) -> bool:
    try:
        return file in _read and _stamp(file) != _read[file][0]
    except OSError:
        return False


def _stamp(file: Path) -> _Stamp:
    found = file.stat()
    return found.st_mtime_ns, found.st_size


def content(file: Path) -> str:
    """In base64. Raises OperatorError for a file that could never be read."""
    try:
        stamp = _stamp(file)
        if file not in _read or _read[file][0] != stamp:
            _read[file] = (stamp, base64.b64encode(file.read_bytes()).decode())
    except OSError as error:
        if file not in _read:
            raise OperatorError(f"cannot read {file}, which a route answers with: {error.strerror}") from error
    return _read[file][1]
