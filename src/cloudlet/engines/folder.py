"""An engine's folder: its configuration beside its data, private to its user.

    data/NAME/           cloudlet's own; the engine's group may pass through, nobody may look
    data/NAME/FILE       configuration, mode 600, the engine's
    data/NAME/CHILD/     what the engine itself writes, mode 700, the engine's

The engine cannot replace what lies in the upper folder, so writing there as root follows no link of its
making.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from cloudlet.contracts.process import User
from cloudlet.errors import EngineFailed


class EngineFolder:
    """The folder of one engine, whose user is None where cloudlet itself is not root. Raises EngineFailed."""

    def __init__(self, path: Path, user: User | None) -> None:
        self.path = path
        self._user = user

    def make(self) -> None:
        """Make the upper folder, or set its owner and mode right again."""
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            if self._user is not None:
                os.chown(self.path, 0, self._user.gid)
            self.path.chmod(0o700 if self._user is None else 0o710)
        except OSError as error:
            raise EngineFailed(f"cannot make {self.path}: {error}") from error

    def make_child(self, name: str) -> Path:
        """A data folder of the engine's; one that is there is given to its present user."""
        child = self.path / name
        try:
            child.mkdir(mode=0o700, exist_ok=True)
            self.give(child)
        except OSError as error:
            raise EngineFailed(f"cannot make {child}: {error}") from error
        return child

    def give(self, tree: Path) -> None:
        """Make the user the owner of everything below, unless the tree is theirs already."""
        if self._user is None or tree.lstat().st_uid == self._user.uid:
            return
        for _, folders, files, descriptor in os.fwalk(tree, follow_symlinks=False):
            for name in (*folders, *files):
                os.chown(name, self._user.uid, self._user.gid, dir_fd=descriptor, follow_symlinks=False)
        os.chown(tree, self._user.uid, self._user.gid, follow_symlinks=False)  # last: it says that all is done

    def write(self, name: str, text: str) -> Path:
        """Put a configuration file in place, whole or not at all."""
        path = self.path / name
        temporary = self.path / f".{name}.{secrets.token_hex(8)}"
        try:
            self._write_synced(temporary, text)
            temporary.replace(path)
            self.sync()
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise EngineFailed(f"cannot write {path}: {error}") from error
        return path

    def _write_synced(self, path: Path, text: str) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if self._user is not None:
                os.fchown(descriptor, self._user.uid, self._user.gid)
            file.write(text)
            file.flush()
            os.fsync(descriptor)

    def rename(self, old: str, new: str) -> None:
        try:
            (self.path / old).rename(self.path / new)
            self.sync()
        except OSError as error:
            raise EngineFailed(f"cannot rename {self.path / old} to {new}: {error}") from error

    def remove(self, name: str) -> None:
        """Remove a folder and everything below, if it is there."""
        try:
            shutil.rmtree(self.path / name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise EngineFailed(f"cannot remove {self.path / name}: {error}") from error

    def sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
