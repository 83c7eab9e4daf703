"""API keys as clients of the token endpoint: the file that control writes, read again when it changes.

While a new file cannot be read, the last good one counts. Keys are found by their hash, so that nothing is compared
that a stranger could time.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from cloudlet.contracts.guard import KEY_RECORDS, KeyRecord

log = logging.getLogger("cloudlet.gateway.tokens")


class Clients:
    """`file` None: there are none."""

    def __init__(self, file: Path | None, clock: Callable[[], float]) -> None:
        self._file, self._clock = file, clock
        self._stamp: tuple[int, int, int] | None = None
        self._by_hash: Mapping[str, KeyRecord] = {}

    def find(self, client_id: str, secret: str) -> KeyRecord | None:
        """The key, where this is it, it is so called, and it has not expired."""
        self._renew()
        record = self._by_hash.get(hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest())
        named = record.id if record else ""
        same = hmac.compare_digest(named.encode(), client_id.encode("utf-8", "surrogateescape"))
        if record is None or not same or (record.expires is not None and record.expires <= self._clock()):
            return None
        return record

    def _renew(self) -> None:
        if self._file is None:
            return
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                records = KEY_RECORDS.validate_json(self._file.read_bytes())
                self._by_hash = {record.hash: record for record in records}
                self._stamp = stamp
        except (OSError, ValueError) as error:
            log.error("the file of API keys cannot be read: %s", type(error).__name__)
