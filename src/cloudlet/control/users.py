"""Whom engines, forwarders and instances run as when cloudlet is root, and what keeps that from being ideal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.control.store import Store
from cloudlet.runtime.users import number_for, reachable


class Users:
    """Users by name, the same number each time; `needs` gives the paths that somebody must be able to reach."""

    def __init__(self, paths: StatePaths, store: Store, needs: Callable[[str], Iterable[Path]]) -> None:
        self._paths, self._store, self._needs = paths, store, needs
        self._reasons: dict[str, str] = {}

    def of(self, name: str) -> User | None:
        """The user of that name; None, when cloudlet is not root: everything runs as whoever started it."""
        if os.geteuid() != 0:
            return None
        uid = self._number(name)
        reach = reachable(uid, self._paths.root.parent, *self._needs(name))
        self._reasons[name] = reach.because
        return User(uid, uid, reads_all=not reach.ok)

    def _number(self, name: str) -> int:
        known = self._store.uids()
        if name not in known:
            known[name] = number_for(self._paths.root, name, known.values())
            self._store.keep_uid(name, known[name])
        return known[name]

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
