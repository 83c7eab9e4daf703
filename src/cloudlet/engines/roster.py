"""Which services an engine admitted, for engines whose accounts are lines of a file that cloudlet renders."""

from __future__ import annotations

from cloudlet.engines.folder import EngineFolder
from cloudlet.errors import EngineFailed

_FILE = "services"


class Roster:
    """The names, one a line, in the engine's folder."""

    def __init__(self, folder: EngineFolder) -> None:
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        path = self._folder.path / _FILE
        try:
            return tuple(path.read_text(encoding="utf-8").split())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise EngineFailed(f"cannot read {path}: {error}") from error

    def add(self, service: str) -> None:
        names = self.names()
        if service not in names:
            self._folder.write(_FILE, "".join(f"{name}\n" for name in (*names, service)))
