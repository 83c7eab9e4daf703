"""Files that hold secrets: whole or not at all, readable by their owner and one other user."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from cloudlet.contracts.process import User
from cloudlet.errors import DependencyError

#: seconds that a file stays after a newer one: an instance may still be starting from it
_KEPT = 3600.0


def write_newest(path: Path, content: bytes, user: User | None, others: str) -> None:
    """Like `write_private`, and those of the folder that match `others` go when they are old. Anybody may look into
    the folder: a service runs in it. Raises DependencyError."""
    try:
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)
    except OSError as error:
        raise DependencyError(f"cannot make {path.parent}: {error.strerror}") from error
    write_private(path, content, user)
    for old in set(path.parent.glob(others)) - {path}:
        if old.stat().st_mtime < time.time() - _KEPT:
            old.unlink(missing_ok=True)


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
