"""A generation: one process's configuration on disk, in a folder of its own, and the record of what is in it.

    edge/generation-7/haproxy.cfg, *.map, …   what HAProxy reads, also when the keeper restarts it after a crash
    edge/generation-7/record.json             what it was rendered from, for a cloudlet that adopts it
    run/edge/7.sock                           its runtime socket
    run/edge/door.sock                        the newest generation's door (render_frontend.py)

Of a second replica (`edge: {replicas: 2}`) they are `edge/generation-2-7`, `run/edge/2-7.sock`, `run/edge/door-2.sock`
and its process is `edge-2-7`; the first one's names carry no number, as when there is but one.

Folders of their own, because a successor that fails must not have touched what its predecessor restarts from.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.edge.render_global import SERVER_STATE
from cloudlet.edge.rendered import Rendered
from cloudlet.edge.settings import EdgeSettings, connections_for, file_limit
from cloudlet.errors import DependencyError

_PREFIX = "generation-"
_RECORD = "record.json"
_PROCESS = re.compile(r"edge-(?:(?P<replica>[2-9])-)?(?P<number>\d+)")
#: the state file of servers without any; HAProxy would remark on a missing one
_NO_STATE = "1\n"


@dataclass(frozen=True, slots=True)
class Record:
    """What a generation was rendered from. `draining` holds (backend, server); `certificates` the files loaded, with
    their digests (certificates/exchange.py). `version` is the cloudlet that rendered it."""

    configuration: EdgeConfiguration = field(default_factory=EdgeConfiguration)
    draining: frozenset[tuple[str, str]] = frozenset()
    certificates: str = ""
    version: str = ""


_RECORDS = TypeAdapter(Record)


@dataclass(slots=True)
class Generation:
    """The files of generation `number` of a replica."""

    replica: int
    number: int
    folder: Path
    settings: EdgeSettings
    user: User | None
    _written: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, number: int, paths: StatePaths, user: User | None, replica: int = 1) -> Generation:
        name = numbered(replica, number)
        folder = paths.edge / f"{_PREFIX}{name}"
        sockets = paths.run / "edge"
        maxconn = connections_for(file_limit())
        settings = EdgeSettings(sockets / f"{name}.sock", door_of(paths, replica), maxconn)
        return cls(replica, number, folder, settings, user)

    @property
    def name(self) -> str:
        """The process's name with the keeper."""
        return f"edge-{numbered(self.replica, self.number)}"

    def create(self, state: str) -> None:
        """Make the folder, with the state of servers that the predecessor leaves. Raises DependencyError."""
        try:
            _own_folder(self.settings.socket.parent, 0o700, self.user, whole=True)
            shutil.rmtree(self.folder, ignore_errors=True)
            _own_folder(self.folder, 0o750, self.user)
        except OSError as error:
            raise DependencyError(f"cannot make {self.folder}: {error.strerror}") from error
        self._write(SERVER_STATE, state or _NO_STATE)

    def write(self, rendered: Rendered, record: Record) -> None:
        """Bring the files to what was rendered, each whole or not at all. Raises DependencyError."""
        record_text = _RECORDS.dump_json(record, indent=1).decode()
        for name, text in {**rendered.files, _RECORD: record_text}.items():
            if self._written.get(name) != text:
                self._write(name, text)
                self._written[name] = text

    def forget_state(self) -> None:
        """The predecessor's state of servers counts once: it would bring old ports back at a restart."""
        self._write(SERVER_STATE, _NO_STATE)

    def record(self) -> Record | None:
        """What it was rendered from; None when that is missing or was written by another version."""
        try:
            return _RECORDS.validate_json(self.folder.joinpath(_RECORD).read_bytes())
        except (OSError, ValidationError):
            return None

    def lead_to(self, door: Path) -> None:
        """Who connects to this replica's door reaches another's. Raises DependencyError."""
        own = self.settings.door
        link = own.with_name(f".{own.name}.{self.number}")
        try:
            link.unlink(missing_ok=True)
            link.symlink_to(door.name)
            if self.user is not None:  # its successor replaces it, for which HAProxy makes a hard link first
                os.chown(link, self.user.uid, self.user.gid, follow_symlinks=False)
            link.replace(own)
        except OSError as error:
            raise DependencyError(f"cannot lead {own} to {door}: {error.strerror}") from error

    def delete(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.settings.socket.unlink(missing_ok=True)

    def _write(self, name: str, text: str) -> None:
        try:
            write_file(self.folder / name, text, self.user)
        except OSError as error:
            raise DependencyError(f"cannot write {self.folder / name}: {error.strerror}") from error


def write_file(path: Path, text: str, user: User | None) -> None:
    """By a temporary file, synced and renamed; only its owner and the edge's user may read it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            if user is not None:
                os.fchown(file.fileno(), -1, user.gid)
            os.fchmod(file.fileno(), 0o640)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _own_folder(folder: Path, mode: int, user: User | None, *, whole: bool = False) -> None:
    """Make a folder that the edge's user may enter, or (`whole`) has as its own."""
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    folder.chmod(mode)
    if user is not None:
        os.chown(folder, user.uid if whole else -1, user.gid)


def numbered(replica: int, number: int) -> str:
    return f"{number}" if replica == 1 else f"{replica}-{number}"


def door_of(paths: StatePaths, replica: int) -> Path:
    return paths.run / "edge" / ("door.sock" if replica == 1 else f"door-{replica}.sock")


def number_of(process: str) -> int | None:
    """The generation of a process by its name with the keeper; None for a process that is not the edge."""
    found = _PROCESS.fullmatch(process)
    return int(found["number"]) if found else None


def replica_of(process: str) -> int | None:
    """The replica whose process has this name; None for a process that is not the edge."""
    found = _PROCESS.fullmatch(process)
    return int(found["replica"] or 1) if found else None


def numbers_on_disk(paths: StatePaths, replica: int = 1) -> list[int]:
    """The generations of a replica that have a folder."""
    names = (f"edge-{path.name.removeprefix(_PREFIX)}" for path in paths.edge.glob(f"{_PREFIX}*"))
    return sorted(number for name in names if replica_of(name) == replica and (number := number_of(name)) is not None)
