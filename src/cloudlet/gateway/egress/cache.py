"""Answers to plain HTTP that are kept in this process's memory, the least recently used given up first."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from cloudlet.gateway.egress.fields import Fields
from cloudlet.gateway.egress.freshness import Stored
from cloudlet.gateway.egress.target import Target

_MOST_VARIANTS = 8
#: one answer may take this share of the memory
_LARGEST = 8

Key: TypeAlias = tuple[str, str]


class Cache:
    """At most `size` bytes."""

    def __init__(self, size: int) -> None:
        self._size, self.used = size, 0
        self._kept: OrderedDict[Key, list[Stored]] = OrderedDict()

    @property
    def largest(self) -> int:
        """Bytes of the largest body that is kept."""
        return self._size // _LARGEST

    def find(self, target: Target, fields: Fields) -> Stored | None:
        """The variant that a request with these fields selects."""
        found = next((each for each in self._kept.get(_key(target), ()) if each.fits(fields)), None)
        if found is not None:
            self._kept.move_to_end(_key(target))
        return found

    def put(self, target: Target, fields: Fields, stored: Stored) -> None:
        """Keep it in place of the variant that the request's fields selected before."""
        if stored.size > self.largest:
            return
        variants = [each for each in self._kept.get(_key(target), ()) if not each.fits(fields)]
        self.drop(target)
        variants = [stored, *variants][:_MOST_VARIANTS]
        self._kept[_key(target)] = variants
        self.used += sum(each.size for each in variants)
        while self.used > self._size:
            self._forget(next(iter(self._kept)))

    def drop(self, target: Target) -> None:
        """Forget all of it: it was changed through us (RFC 9111, 4.4)."""
        if _key(target) in self._kept:
            self._forget(_key(target))

    def _forget(self, key: Key) -> None:
        self.used -= sum(each.size for each in self._kept.pop(key))


def _key(target: Target) -> Key:
    return target.authority, target.path
