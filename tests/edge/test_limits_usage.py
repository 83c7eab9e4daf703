"""Who is near a limit, as read out of stick tables and Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudlet.control.limits import limit_usage

from .conftest import Harness
from .limit_store import Store
from .limits import Limited, limit, limited

_ALGORITHMS = ("fixed-window", "sliding-counter", "token-bucket", "leaky-bucket")


@pytest.fixture
def edge(harness: Harness) -> Limited:
    return Limited(harness)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = await Store(tmp_path).start()
    yield made
    made.end()


async def test_tables_and_store_say_the_same(edge: Limited, store: Store) -> None:
    """Three of ten are used up, whoever counts them; headers are shown by the beginning of their hash."""
    rates = {"token-bucket": "1/h", "leaky-bucket": "1000/s", "fixed-window": "10/d", "sliding-counter": "10/d"}
    limits = {
        name: limit(name, rates[name], "header:X-Tenant", {"token-bucket": 10, "leaky-bucket": 9}.get(name))
        for name in _ALGORITHMS
    }
    routes = [limited(f"/{name}/*", made) for name, made in limits.items()]
    routes.append(limited("/log/*", limit("sliding-log", "10/d")))
    free = limited("/free/*")
    native = await edge.start(*routes, free, store=store.place())
    for shared in (False, True):
        configuration = replace(native, replicas=2 if shared else 1)
        await edge.harness.edge.apply(configuration)
        await edge.get("/free/x")  # the last on the predecessor's connection, which would count there
        for route in routes:
            await edge.burst(3, route.path.replace("*", "x"), X_Tenant="a = b\\ c")
        found = await limit_usage(edge.harness.edge, configuration, 0.25)
        used = {usage.route: usage for usage in found}
        for name in ("fixed-window", "sliding-counter", "token-bucket"):
            usage = used[f"/{name}/*"]
            assert (usage.used, usage.quota, usage.algorithm) == (3, 10, name)
            assert usage.key.startswith("sha256:")
            assert len(usage.key) == len("sha256:") + 12
        log = used["/log/*"]
        assert (log.used, log.key, log.limit) == (3 if not shared else 6, "127.0.0.1", "client-10/d")
        assert not await limit_usage(edge.harness.edge, configuration, 0.9)
