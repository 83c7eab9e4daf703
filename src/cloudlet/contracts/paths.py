"""Where a stack keeps its state: one folder, `.cloudlet/`, beside the file.

state.db        desired state, the record of instances, the journal (SQLite)
keeper.json     the keeper's own record of processes and sockets, for its successor
secrets/        generated passwords and keys, mode 700 and 600
data/NAME/      an engine's data
edge/           haproxy.cfg, maps, Lua, certificates
logs/NAME.log   what each process printed
run/            Unix sockets and FIFOs; in /tmp when the path is too long for a Unix socket (108 bytes)

In /tmp whatever TMPDIR says: another shell with another TMPDIR must find the same sockets.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from cloudlet.errors import Refused

#: Bytes left for a socket's own name within the 108 that sun_path has; HAProxy adds a suffix while it binds.
_LONGEST_RUN_DIRECTORY = 70
_TEMPORARY = Path("/tmp")  # noqa: S108 -- `create` refuses a folder there that is not this user's own
_IN_THE_WAY = frozenset({errno.EEXIST, errno.ENOTDIR, errno.ELOOP})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@dataclass(frozen=True, slots=True)
class StatePaths:
    """The folders and files of one stack's state."""

    root: Path

    @classmethod
    def beside(cls, file: Path) -> StatePaths:
        return cls(file.resolve().parent / ".cloudlet")

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def edge(self) -> Path:
        return self.root / "edge"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def keeper_state(self) -> Path:
        return self.root / "keeper.json"

    @property
    def run(self) -> Path:
        preferred = self.root / "run"
        if len(os.fsencode(preferred)) <= _LONGEST_RUN_DIRECTORY:
            return preferred
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return _TEMPORARY / f"cloudlet-{os.geteuid()}-{name}"

    @property
    def keeper_socket(self) -> Path:
        return self.run / "keeper.sock"

    @property
    def control_socket(self) -> Path:
        return self.run / "control.sock"

    def data(self, name: str) -> Path:
        return self.root / "data" / name

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def discard_run(self) -> None:
        """Nothing runs: remove the sockets' folder where it lies outside the state, in the temporary folder."""
        if self.run.parent != self.root:
            shutil.rmtree(self.run, ignore_errors=True)

    def create(self) -> None:
        """Make the folders. Engines run as other users, so the root can be passed through but not listed.

        Raises Refused when one cannot be made, or is there and not this user's own.
        """
        for path, mode in (
            (self.root, 0o711),
            (self.root / "data", 0o711),
            (self.edge, 0o711),
            (self.logs, 0o700),
            (self.secrets, 0o700),
            (self.run, 0o711),
        ):
            try:
                _make(path, mode)
            except OSError as error:
                raise Refused(f"cannot make {path}: {error.strerror}; {_fix(path, error)}") from error


def _make(path: Path, mode: int) -> None:
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise Refused(f"{path} is a link, and what it leads to may change; remove it")
    if found.st_uid != os.geteuid():
        raise Refused(f"{path} belongs to user {found.st_uid}, not to this one; remove it or run as that user")
    path.chmod(mode)


def _fix(path: Path, error: OSError) -> str:
    if error.errno in _IN_THE_WAY:
        return "move what is there out of the way"
    if error.errno in _FORBIDDEN:
        return f"let this user write to {path.parent}, or put the file into a folder of its own"
    return "mend that, or put the file elsewhere"
