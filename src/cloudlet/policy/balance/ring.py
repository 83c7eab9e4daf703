"""A hash ring: members own points on a circle of 32 bits, a key belongs to the next point at or after its
hash.

A member's points depend on its own identity and on nothing else, so one that leaves gives only its own keys
away, and one that comes takes only its fair share. The hashes are the same in every process and on every
machine.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from zlib import crc32

#: points for each unit of weight, as HAProxy has: 1,600 for a usual server, so its share is true to 2.5 %
POINTS = 16
#: points that one digest of 64 bytes gives
_IN_A_DIGEST = 16
_MASK = 0xFFFFFFFF


class HashRing:
    """`members` are identities with the number of their points. Building costs some 1.5 ms for each 1,600
    points."""

    __slots__ = ("_owners", "_points", "members")

    def __init__(self, members: Sequence[tuple[str, int]]) -> None:
        self.members = tuple(members)
        # the identity settles the order of points that coincide, not the place in the sequence
        placed = sorted(
            (point, identity, index)
            for index, (identity, count) in enumerate(self.members)
            for point in _points(identity, count)
        )
        self._points = [point for point, _, _ in placed]
        self._owners = [owner for _, _, owner in placed]

    def owner(self, position: int) -> int:
        """The index of the member that owns this position; LookupError when there are no points."""
        place = bisect_left(self._points, position)
        return self._owners[place if place < len(self._owners) else 0]

    def walk(self, position: int) -> Iterator[int]:
        """Each member once, in the order in which they would own the position if those before were gone."""
        owners = self._owners
        start = bisect_left(self._points, position)
        seen: set[int] = set()
        for place in range(start, start + len(owners)):
            owner = owners[place % len(owners)]
            if owner not in seen:
                seen.add(owner)
                yield owner


def position_of(key: bytes) -> int:
    """The place of a key on the circle: CRC-32, mixed by MurmurHash3's finaliser, so that similar keys
    spread."""
    mixed = crc32(key)
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & _MASK
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2AE35) & _MASK
    return mixed ^ (mixed >> 16)


def _points(identity: str, count: int) -> Iterator[int]:
    name = identity.encode()
    for number in range(-(-count // _IN_A_DIGEST)):
        digest = blake2b(name, salt=number.to_bytes(16, "big")).digest()
        for offset in range(min(_IN_A_DIGEST, count - number * _IN_A_DIGEST)):
            yield int.from_bytes(digest[4 * offset : 4 * offset + 4], "big")
