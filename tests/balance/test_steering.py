"""What the control loop makes of HAProxy's counters, look by look: a real edge, and a clock of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudlet.contracts.edge import Algorithm, Balance, Server
from cloudlet.control.journal import Journal
from cloudlet.control.measuring import Measurements
from cloudlet.control.steering import Steering
from cloudlet.control.store import Instance, Store
from cloudlet.policy.lifecycle import Phase
from cloudlet.stack import Service
from tests.edge.conftest import Harness, backend, server_of

from .failing import Failing


@dataclass
class Looking:
    """Steers the instances a-1, a-2, a-3 of one service; each `look` is a second after the one before."""

    harness: Harness
    steering: Steering
    service: Service
    now: float = 1000.0

    async def look(self) -> set[str]:
        """Who is out after it."""
        self.now += 1.0
        serving = [Instance(f"a-{n}", "a", n, "r", Phase.SERVING, 0.0, 1) for n in (1, 2, 3)]
        await self.steering.steer({"a": self.service}, serving, self.now)
        return self.steering.ejected("a")

    async def attempts(self, name: str) -> int:
        (found,) = await self.harness.edge.statistics()
        return next(server.requests for server in found.servers if server.name == name)

    async def until_attempts(self, name: str, count: int, method: str) -> None:
        """Send requests until so many were tried on this server."""
        for _ in range(20 * count):
            if await self.attempts(name) >= count:
                return
            async with self.harness.client.request(method, "/", data=b"x" if method == "POST" else None) as answer:
                assert answer.status in (200, 502)
        raise AssertionError(f"{name} was tried {await self.attempts(name)} times only, not {count}")


@pytest.fixture
async def looking(harness: Harness, tmp_path: Path) -> AsyncIterator[Looking]:
    """With `eject: {after: 5 errors}`."""
    store = Store(tmp_path / "state.db")
    service = Service.model_validate({"command": ["true"], "eject": {"after": 5}, "balance": "round-robin"})
    yield Looking(harness, Steering(harness.edge, Journal(store), Measurements()), service)
    store.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("listens", [True, False], ids=["closes", "refuses"])
async def test_the_fifth_failed_attempt_in_a_row_ejects(looking: Looking, method: str, listens: bool) -> None:
    """HAProxy counts one failed attempt in up to three columns; it is one error nevertheless."""
    others = [server_of(await looking.harness.upstream(f"a-{n}")) for n in (2, 3)]
    async with Failing(listens) as failing:
        bad = Server("a-1", 1, "127.0.0.1", failing.port)
        balance = Balance(Algorithm.ROUND_ROBIN)
        await looking.harness.start(backend("a", bad, *others, balance=balance, check=None))
        assert await looking.look() == set()
        await looking.until_attempts("a-1", 4, method)
        assert await looking.look() == set()
        await looking.until_attempts("a-1", 5, method)
        assert await looking.look() == {"a-1"}
        had = await looking.attempts("a-1")
        await looking.harness.names(10)
        assert await looking.attempts("a-1") == had


async def test_a_success_between_them_starts_the_row_anew(looking: Looking) -> None:
    """Failed attempts, then a success, then failed attempts: fewer than five in a row eject nobody."""
    upstreams = [await looking.harness.upstream(f"a-{n}") for n in (1, 2, 3)]
    servers = [server_of(upstream) for upstream in upstreams]
    balance = Balance(Algorithm.ROUND_ROBIN)
    await looking.harness.start(backend("a", *servers, balance=balance, check=None))
    for attempts in (4, 9):
        await upstreams[0].stop()
        await looking.until_attempts("a-1", attempts, "GET")
        assert await looking.look() == set()
        await upstreams[0].start(upstreams[0].port)
        await looking.until_attempts("a-1", attempts + 1, "GET")
        assert await looking.look() == set()


async def test_weights_that_were_set_stay_with_whoever_announces_instances(looking: Looking) -> None:
    """The mapping handed out once is the one that later looks write to."""
    weights = looking.steering.weights
    servers = await looking.harness.servers("a", 3)
    looking.harness.upstreams[0].delay = 0.03
    by_time = Balance(Algorithm.LEAST_RESPONSE_TIME)
    await looking.harness.start(backend("a", *servers, balance=by_time, check=None))
    balance = looking.service.balance.model_copy(update={"algorithm": "least-response-time"})
    looking.service = looking.service.model_copy(update={"balance": balance})
    await looking.look()
    for _ in range(3):
        await looking.harness.names(60, at_once=4)
        await looking.look()
    (found,) = await looking.harness.edge.statistics()
    assert weights == {server.name: server.weight for server in found.servers}
    assert weights["a-1"] < 80 < weights["a-2"]
