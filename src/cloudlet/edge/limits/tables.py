"""The stick tables, one for each distinct limit, and how they go over to the next process: while it ends, the old one
sends all entries to the new one through the local peer's Unix socket (docs/decisions/0005-rate-limits.md).

A table that is full drops the entries that are nearest to their end, so the clients it has not seen for longest start
anew; memory is bounded by SIZE times about 300 bytes for each limit.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloudlet.edge.limits import buckets, windows
from cloudlet.edge.limits.keys import LENGTH
from cloudlet.edge.limits.plan import Slot
from cloudlet.edge.rendered import section

#: entries of one table
SIZE = 100_000
_PEERS, _ITSELF = "cloudlet-edge", "cloudlet"


def tables(native: Mapping[str, Slot]) -> list[str]:
    return [_table(name, slot) for name, slot in native.items()]


def _table(name: str, slot: Slot) -> str:
    kept = "gpc(1),gpt(1)" if slot.is_bucket else "gpc(1)"
    expiry = (buckets if slot.is_bucket else windows).expiry(slot)
    return section(
        f"backend {name} from common",
        f"stick-table type string len {LENGTH} size {SIZE} expire {expiry}ms store {kept} peers {_PEERS}",
    )


def peers(native: Mapping[str, Slot]) -> list[str]:
    """One peer: the process itself, and the one that succeeds it under the same name and socket."""
    return [section(f"peers {_PEERS}", f"peer {_ITSELF} unix@$PEERS")] if native else []


def process(native: Mapping[str, Slot]) -> list[str]:
    return [f"localpeer {_ITSELF}"] if native else []
