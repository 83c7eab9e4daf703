"""API keys as they are issued, rotated and revoked: recorded, told to the journal, and then to the edge.

The record comes first, so that whatever fails behind it, the next `apply` of the edge makes it true. Each change ends
only when the edge has it: a revoked key is refused when the command returns.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from cloudlet.contracts.guard import KEY_RECORDS, KeyRecord
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.control.journal import Journal
from cloudlet.control.private_files import write_private
from cloudlet.control.store import Store
from cloudlet.control.views import IssuedKey, KeyStatus
from cloudlet.errors import OperatorError
from cloudlet.identity import keys
from cloudlet.identity.keys import Key

#: the longest time that an old secret goes on counting beside its successor
LONGEST_OVERLAP = 30 * 86400.0


def records_file(paths: StatePaths) -> Path:
    """What cloudlet-gateway reads (`GatewayConfiguration.api_keys`)."""
    return paths.root / "own" / "api-keys.json"


class ApiKeys:
    """`changed` brings the edge to what `records` says; `reader` is the user of cloudlet-gateway."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        file: Path,
        reader: Callable[[], User | None],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._store, self._journal = store, journal
        self._file, self._reader, self._changed = file, reader, changed

    def records(self, now: float | None = None) -> tuple[KeyRecord, ...]:
        """Those that count now."""
        at = time.time() if now is None else now
        return tuple(key.record for key in self._store.api_keys() if key.good(at))

    def listed(self) -> list[KeyStatus]:
        """Every key, newest first; a rotated one twice while both of its secrets count."""
        now = time.time()
        known = [key for key in self._store.api_keys() if key.good(now) or _ended(key) > now - keys.KEPT]
        return [_status(key, now) for key in sorted(known, key=lambda key: -key.created)]

    async def issue(self, user: str, roles: list[str], scopes: list[str], lifetime: float | None, by: int) -> IssuedKey:
        """Raises OperatorError for a name that cannot be."""
        text, key = keys.issue(user, roles, scopes, lifetime, by, time.time())
        self._forget_ended()
        self._store.save_api_keys([key])
        named = [f"{kind} {', '.join(names)}" for kind, names in (("roles", roles), ("scopes", scopes)) if names]
        self._journal.info(f"key {key.record.id}", f"issued to {user}", "; ".join([f"user {by} asked for it", *named]))
        await self._tell()
        return IssuedKey(text, _status(key, time.time()))

    async def rotate(self, key_id: str, overlap: float, by: int) -> IssuedKey:
        """Raises Refused for a key that is not there, OperatorError for too long an overlap."""
        if not 0 <= overlap <= LONGEST_OVERLAP:
            raise OperatorError("the old secret may go on counting for 30d at most; give a shorter --overlap")
        text, changed = keys.rotate(self._store.api_keys(), key_id, overlap, by, time.time())
        self._store.save_api_keys(changed)
        self._journal.info(
            f"key {key_id}", "rotated", f"user {by} asked for it; the old secret counts for {overlap:g} s more"
        )
        await self._tell()
        return IssuedKey(text, _status(changed[-1], time.time()))

    async def revoke(self, key_id: str, by: int) -> None:
        """Raises Refused for a key that is not there."""
        gone = keys.revoke(self._store.api_keys(), key_id)
        self._store.delete_api_keys([key.record.hash for key in gone])
        self._journal.info(f"key {key_id}", "revoked", f"user {by} asked for it; it was {gone[0].record.user}'s")
        await self._tell()

    def write(self) -> None:
        """Bring the file for cloudlet-gateway to what is recorded. Raises DependencyError."""
        self._file.parent.mkdir(mode=0o711, exist_ok=True)
        write_private(self._file, KEY_RECORDS.dump_json(self.records()), self._reader())

    async def _tell(self) -> None:
        self.write()
        await self._changed()

    def _forget_ended(self) -> None:
        limit = time.time() - keys.KEPT
        self._store.delete_api_keys([key.record.hash for key in self._store.api_keys() if _ended(key) < limit])


def _ended(key: Key) -> float:
    return key.record.expires if key.record.expires is not None else float("inf")


def _status(key: Key, now: float) -> KeyStatus:
    record = key.record
    state = "good" if key.good(now) else "expired"
    return KeyStatus(
        record.id, record.user, list(record.roles), list(record.scopes), state, key.created, record.expires, key.by
    )
