"""API keys: `clk_ID_SECRET`, of which only the SHA-256 is kept.

A plain hash is enough, and the only one the edge can look up: the secret is 256 random bits, which nobody guesses at
any speed. A key has one hash; while it is rotated two, of which the older one ends. Pure, but for the random bits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cloudlet.contracts.guard import KeyRecord
from cloudlet.errors import OperatorError, Refused

PREFIX = "clk_"
#: random bytes of a key's secret and of its id
_STRENGTH, _ID = 32, 5
#: what stands in a header and in a map as it is
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._:+-]{0,99}")
_WORD = re.compile(r"[A-Za-z0-9@._:/+*-]{1,100}")
#: seconds that an ended key is still listed
KEPT = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Key:
    """One hash of a key and its history. Times are Unix time; `by` is the user id of whoever issued it."""

    record: KeyRecord
    created: float
    by: int

    def good(self, now: float) -> bool:
        return self.record.expires is None or self.record.expires > now


def issue(
    user: str, roles: Sequence[str], scopes: Sequence[str], lifetime: float | None, by: int, now: float
) -> tuple[str, Key]:
    """The key's text, which is shown once, and what is kept of it. Raises OperatorError for names that no header
    can hold; `lifetime` is in seconds."""
    _check(user, roles, scopes)
    if lifetime is not None and lifetime < 1:
        raise OperatorError(f"a key that expires after {lifetime:g} s is good for nothing; give it 1s or more")
    text, record = _made(secrets.token_hex(_ID))
    expires = now + lifetime if lifetime is not None else None
    kept = replace(record, user=user, roles=tuple(dict.fromkeys(roles)), scopes=tuple(dict.fromkeys(scopes)))
    return text, Key(replace(kept, expires=expires), now, by)


def rotate(known: Iterable[Key], key_id: str, overlap: float, by: int, now: float) -> tuple[str, list[Key]]:
    """The new text, and the key's hashes from now on: the new one, and the old ones, which end after `overlap`
    seconds. Raises Refused for a key that is not there, or no longer good."""
    present = [key for key in _of(known, key_id) if key.good(now)]
    if not present:
        raise Refused(f'the key "{key_id}" has expired; issue a new one')
    newest = max(present, key=lambda key: key.created)
    text, record = _made(key_id)
    made = replace(newest.record, hash=record.hash)
    ending = [replace(key, record=replace(key.record, expires=_sooner(key, now + overlap))) for key in present]
    return text, [*ending, Key(made, now, by)]


def revoke(known: Iterable[Key], key_id: str) -> list[Key]:
    """The hashes to forget. Raises Refused for a key that is not there."""
    return _of(known, key_id)


def hash_of(text: str) -> str:
    """As the edge looks it up."""
    return hashlib.sha256(text.encode()).hexdigest()


def _made(key_id: str) -> tuple[str, KeyRecord]:
    text = f"{PREFIX}{key_id}_{secrets.token_urlsafe(_STRENGTH)}"
    return text, KeyRecord(key_id, hash_of(text))


def _of(known: Iterable[Key], key_id: str) -> list[Key]:
    found = [key for key in known if key.record.id == key_id]
    if not found:
        raise Refused(f'there is no key "{key_id}"; `cloudlet key ls` shows them')
    return found


def _sooner(key: Key, end: float) -> float:
    return end if key.record.expires is None else min(key.record.expires, end)


def _check(user: str, roles: Sequence[str], scopes: Sequence[str]) -> None:
    if _USER.fullmatch(user) is None:
        raise OperatorError(f'"{user}" cannot name whom a key is for: use letters, digits and @ . _ : + -')
    for kind, names in (("role", roles), ("scope", scopes)):
        for name in names:
            if _WORD.fullmatch(name) is None or name == "-":
                raise OperatorError(f'"{name}" is no {kind}: use letters, digits and @ . _ : / + * -')
