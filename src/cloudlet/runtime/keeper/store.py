"""The state and its file. A disk that is full must not stop a restart: what could not be saved is saved
later."""

from __future__ import annotations

from pathlib import Path

from cloudlet.runtime.keeper.errors import Impossible
from cloudlet.runtime.keeper.loop import Loop, say
from cloudlet.runtime.keeper.record import State

#: seconds between two attempts
_RETRY = 1.0


class Store:
    """`keeper.json` and what it holds."""

    def __init__(self, loop: Loop, path: Path) -> None:
        self._loop, self._path = loop, path
        self._failed = False
        self.state = State.load(path)

    def save_or_fail(self) -> None:
        """Raises Impossible."""
        try:
            self.state.save(self._path)
        except OSError as error:
            raise Impossible(f"{self._path} cannot be written: {error.strerror}; nothing was changed") from error

    def save(self) -> None:
        """Now, or as soon as it can be."""
        try:
            self.state.save(self._path)
            self._failed = False
        except OSError as error:
            if not self._failed:
                say(f"{self._path} cannot be written: {error.strerror}; tried again until it can")
                self._loop.later(_RETRY, self._again)
            self._failed = True

    def _again(self) -> None:
        if self._failed:
            self._failed = False
            self.save()

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
