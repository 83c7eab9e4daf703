"""What static answers' files hold, read when they change. One that has gone since keeps answering with what it held."""

from __future__ import annotations

import base64
from pathlib import Path

from cloudlet.errors import OperatorError

#: file → what tells a change, content in base64
_read: dict[Path, tuple[tuple[int, int], str]] = {}


def content(file: Path) -> str:
    """In base64. Raises OperatorError for a file that could never be read."""
    try:
        state = file.stat()
        stamp = (state.st_mtime_ns, state.st_size)
        if file not in _read or _read[file][0] != stamp:
            _read[file] = (stamp, base64.b64encode(file.read_bytes()).decode())
    except OSError as error:
        if file not in _read:
            raise OperatorError(f"cannot read {file}, which a route answers with: {error.strerror}") from error
    return _read[file][1]
