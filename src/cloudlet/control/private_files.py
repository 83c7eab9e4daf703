"""Files that hold secrets: whole or not at all, readable by their owner and one other user."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cloudlet.contracts.process import User
from cloudlet.errors import DependencyError


def write_private(path: Path, content: bytes, user: User | None) -> None:
    """By a temporary file, synced and renamed; mode 640, of the user's group. Raises DependencyError."""
    temporary = Path()
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if user is not None:
                os.fchown(file.fileno(), -1, user.gid)
            os.fchmod(file.fileno(), 0o640)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.name else None
        raise DependencyError(f"cannot write {path}: {error.strerror}") from error
