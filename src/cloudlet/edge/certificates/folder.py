"""The folder that HAProxy reads its certificates from.

Only HAProxy's user reads it and only cloudlet writes it, so a broken-into HAProxy cannot plant a file there.
A file is replaced whole, by temporary file, fsync and rename.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cloudlet.contracts.process import User
from cloudlet.errors import OperatorError


def install(pems: Sequence[bytes], folder: Path, user: User | None = None) -> Path:
    """Make `folder` hold exactly these, in this order; the first is the default. `user` is whom HAProxy runs
    as.

    Raises OperatorError when the folder cannot be written.
    """
    wanted = {f"{place:02d}.pem": pem for place, pem in enumerate(pems, start=1)}
    try:
        _make_folder(folder, user)
        for name, pem in wanted.items():
            write_private(folder / name, pem, user)
        for path in folder.iterdir():
            if path.name not in wanted:
                path.unlink()
    except OSError as error:
        raise OperatorError(f"cannot write certificates to {folder}: {error.strerror}") from error
    return folder


def install_file(file: Path, content: bytes, user: User | None = None) -> None:
    """A single one, in a folder that is there. Raises OperatorError when it cannot be written."""
    try:
        write_private(file, content, user)
    except OSError as error:
        raise OperatorError(f"cannot write certificates to {file}: {error.strerror}") from error


def _make_folder(folder: Path, user: User | None = None) -> None:
    """A folder that the user's group may list, and nobody else. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        os.chown(folder, os.geteuid(), user.gid)
    folder.chmod(0o700 if user is None else 0o750)


def write_private(path: Path, content: bytes, user: User | None = None, mode: int = 0o600) -> None:
    """Write a file that only its owner reads; nothing happens when it is so already. Raises OSError."""
    if _is(path, content, user, mode):
        return
    descriptor, fresh = tempfile.mkstemp(prefix=".fresh-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            if user is not None:
                os.fchown(file.fileno(), user.uid, user.gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _is(path: Path, content: bytes, user: User | None, mode: int) -> bool:
    try:
        found = path.lstat()
        owner = os.geteuid() if user is None else user.uid
        return (found.st_uid, found.st_mode & 0o7777) == (owner, mode) and path.read_bytes() == content
    except OSError:
        return False


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
