"""Who is near a rate limit: what the edge's stick tables and cloudlet's own Valkey count."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.contracts.limits import LimitStore, LimitUsage
from cloudlet.edge.group import EdgeGroup
from cloudlet.edge.limits.plan import plan
from cloudlet.edge.limits.usage import in_store, in_table
from cloudlet.errors import EngineFailed

#: keys that are looked at in Valkey, and rows that are shown: a flood of clients must not hold the daemon up
_MOST_KEYS, _MOST_ROWS = 50_000, 1000
_MICROSECONDS = 1_000_000


async def limit_usage(edge: EdgeGroup, configuration: EdgeConfiguration, above: float) -> list[LimitUsage]:
    """Whoever has used at least this share of a limit, who has used most first. Raises EngineFailed."""
    made = plan(configuration)
    found: list[LimitUsage] = []
    for name, slot in made.native().items():
        answer = await edge.table(name)
        found += in_table(made, slot, answer, _now())
    store = configuration.limit_store
    if store is not None and any(slot.stored for slot in made.slots):
        found += in_store(made, [state async for state in _states(store)], _now())
    near = [usage for usage in found if usage.share >= above]
    return sorted(near, key=lambda usage: (-usage.share, usage.limit, usage.key))[:_MOST_ROWS]


async def _states(store: LimitStore) -> AsyncIterator[tuple[str, str | list[str]]]:
    client = Valkey(
        host=store.host,
        port=store.port,
        username=store.user or None,
        password=store.password or None,
        decode_responses=True,
        encoding_errors="replace",
        socket_timeout=5,
    )
    try:
        async with client:
            seen = 0
            async for key in client.scan_iter(match="limit:*", count=1000):
                seen += 1
                if seen > _MOST_KEYS:
                    return
                is_log = ".sliding-log." in key.split(":", 2)[1]
                kept = await client.lrange(key, 0, -1) if is_log else await client.get(key)  # type: ignore[misc]
                if kept:
                    yield key, kept
    except (ValkeyError, OSError) as error:
        raise EngineFailed(f"the store of limits at {store.host}:{store.port} does not answer: {error}") from error


def _now() -> int:
    return time.time_ns() * _MICROSECONDS // 1_000_000_000
