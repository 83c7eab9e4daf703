"""Exchanges certificates of the running HAProxy over its socket: renewed, added and removed ones count at once, and no
connection notices (management.txt, `set ssl cert`).

What is loaded is known as file → digest, so that a cloudlet that adopts HAProxy sees what differs. A change that the
socket cannot make (another folder, a file too long for one command) is left to a succession; so is a change of those
whose client certificates are taken, for a process resumes TLS sessions that it began with the old ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.certificates import AUTHORITIES
from cloudlet.edge.socket import RuntimeSocket

#: bytes of one file: HAProxy takes what fits its buffer of 16 kB together with the command
_LONGEST = 15_000


def loaded(configuration: EdgeConfiguration) -> str:
    """Every file with certificates that HAProxy reads with this configuration, and its digest; JSON."""
    found = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(configuration)}
    return json.dumps(found, sort_keys=True) if found else ""


def exchanged(before: str, after: str) -> tuple[str, ...] | None:
    """The files that changed, came and went between two of `loaded`, as far as the socket can exchange them; None when
    it can't."""
    if before == after:
        return ()
    old, new = _parsed(before), _parsed(after)
    if old is None or new is None:
        return None
    changed = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    folders = {str(Path(path).parent) for path in old}
    fits = all(path not in new or _fits(Path(path), folders) for path in changed)
    authorities = any(Path(path).name == AUTHORITIES for path in changed)
    return tuple(changed) if fits and not authorities else None


async def exchange(socket: RuntimeSocket, before: str, after: str) -> None:
    """Raises EngineFailed when HAProxy refuses one of them."""
    old, new = _parsed(before) or {}, _parsed(after) or {}
    for path in exchanged(before, after) or ():
        file = Path(path)
        if path not in new:
            await socket.ask(f"del ssl crt-list {_word(file.parent)} {_word(file)}")
            await socket.ask(f"del ssl cert {_word(file)}")
        else:
            await _put(socket, file, known=path in old)


async def _put(socket: RuntimeSocket, file: Path, *, known: bool) -> None:
    if not known:
        await socket.ask(f"new ssl cert {_word(file)}")
    await socket.ask(_set(file))
    await socket.ask(f"commit ssl cert {_word(file)}")
    if not known:
        await socket.ask(f"add ssl crt-list {_word(file.parent)} {_word(file)}")


def _set(file: Path) -> str:
    """The command with the file behind it, which an empty line ends."""
    return f"set ssl cert {_word(file)} <<\n{file.read_text()}\n"


def _files(configuration: EdgeConfiguration) -> Iterable[Path]:
    folders = {item.certificates for item in configuration.listeners if item.certificates}
    authorities = {item.client_authorities for item in configuration.listeners if item.client_authorities}
    yield from (file for folder in sorted(folders) for file in sorted(folder.glob("*.pem")))
    yield from sorted(authorities)


def _parsed(text: str) -> Mapping[str, str] | None:
    """None for what another version wrote."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _fits(file: Path, folders: Iterable[str]) -> bool:
    return str(file.parent) in folders and file.stat().st_size <= _LONGEST and "\n" not in str(file)


def _word(path: Path) -> str:
    """A path as one word of a command."""
    return "".join(f"\\{letter}" if letter in " ;\\" else letter for letter in str(path))
