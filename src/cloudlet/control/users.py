"""Whom engines, forwarders and instances run as when cloudlet is root, and what keeps that from being ideal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.runtime.users import reachable, user_for


class Users:
    """Users by name, the same number each time; `needs` gives the paths that somebody must be able to reach."""

    def __init__(self, paths: StatePaths, needs: Callable[[str], Iterable[Path]]) -> None:
        self._paths, self._needs = paths, needs
        self._users: dict[str, User | None] = {}
        self._reasons: dict[str, str] = {}

    def of(self, name: str) -> User | None:
        """The user of that name; None, when cloudlet is not root: everything runs as whoever started it."""
        taken = [user.uid for other, user in self._users.items() if user is not None and other != name]
        needed = (self._paths.root.parent, *self._needs(name))
        user = user_for(self._paths.root, name, taken, *needed)
        self._users[name] = user
        self._reasons[name] = reachable(user.uid, *needed).because if user is not None and user.reads_all else ""
        return user

    def warnings(self) -> list[str]:
        """One sentence for each reason why somebody keeps the capability to read everything."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in self._reasons.items():
            if reason:
                by_reason.setdefault(reason.partition(": ")[2], []).append(name)
        return [
            f"{', '.join(sorted(names))} may read every file (CAP_DAC_READ_SEARCH): {reason}"
            for reason, names in by_reason.items()
        ]


def interpreter(program: Path) -> list[Path]:
    """The program that a script's first line names, as the kernel will run it."""
    try:
        with program.open("rb") as file:
            line = file.readline(256)
    except OSError:
        return []
    words = line[2:].split() if line.startswith(b"#!") else []
    return [Path(os.fsdecode(words[0]))] if words else []
