"""Whom processes run as when cloudlet is root: a number of its own for each service and engine, no passwd
entry.

The numbers are those that systemd keeps for its dynamic users, which no distribution gives to a real one.
https://systemd.io/UIDS-GIDS/
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from cloudlet.errors import DependencyError

FIRST, LAST = 61_184, 65_519
#: symbolic links followed before a path counts as going round in a circle, as in the kernel
_MOST_LINKS = 40
_READ, _PASS = 4, 1


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a user reaches every path; if not, `because` names the folder that bars the way, and the
    fix."""

    ok: bool
    because: str = ""


def number_for(stack_root: Path, name: str, taken: Collection[int] = ()) -> int:
    """The user id of this name in this stack, always the same unless it is `taken` by another name. Raises
    DependencyError when none is left."""
    text = os.fsencode(stack_root) + b"\0" + name.encode()
    size = LAST - FIRST + 1
    first = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % size
    for step in range(size):
        uid = FIRST + (first + step) % size
        if uid not in taken and not _has_entry(uid):
            return uid
    raise DependencyError(f"every user id from {FIRST} to {LAST} is taken; no user is left for {name}")


def _has_entry(uid: int) -> bool:
    """Somebody else's: a dynamic user of systemd's, say."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def reachable(uid: int, *paths: Path) -> Reach:
    """Whether a process with this uid (and the same gid, no other groups) can read each path, by the modes of
    the path and of every folder above it, along every symbolic link."""
    for path in paths:
        for step, wanted in _steps(path):
            problem = _bars(uid, step, wanted)
            if problem:
                return Reach(False, f"{path} cannot be read by user {uid}: {problem}")
    return Reach(True)


def _steps(path: Path) -> Iterator[tuple[Path, int]]:
    """Every folder that must be passed, and at the end the file itself, to be read."""
    place = path.absolute()
    for _ in range(_MOST_LINKS):
        folder = Path(os.path.realpath(place.parent))
        for parent in (*place.parents, *folder.parents, folder):
            yield parent, _PASS
        if not place.is_symlink():
            break
        place = folder / place.readlink()
    yield place, _READ


def _bars(uid: int, place: Path, wanted: int) -> str:
    try:
        found = place.stat()
    except OSError as error:
        return f"{place}: {error.strerror}"
    shift = 6 if found.st_uid == uid else 3 if found.st_gid == uid else 0
    if (found.st_mode >> shift) & wanted:
        return ""
    mode = stat.S_IMODE(found.st_mode)
    if wanted == _PASS:
        return f"{place} has mode {mode:03o}; run `chmod o+x {place}`, or move it elsewhere"
    return f"{place} has mode {mode:03o}; run `chmod o+r {place}`"


def can_grant_reading() -> bool:
    """Whether this root may leave CAP_DAC_READ_SEARCH to others; in some containers it does not have it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return bool(int(line.split()[1], 16) & 1 << 2)
    return False
