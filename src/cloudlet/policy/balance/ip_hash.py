"""Hashing by the client's address: consistent hashing with that as its key.

Held equal with HAProxy's `balance source` and `hash-type consistent`: as for consistent hashing. The whole
address is hashed, of IPv6 too, and never its port.
"""

from __future__ import annotations

from cloudlet.policy.balance.consistent_hash import ConsistentHash
from cloudlet.policy.balance.server import Request


class IpHash(ConsistentHash):
    """The state is the ring, as for consistent hashing."""

    def key(self, request: Request) -> str | None:
        return request.address
