"""HAProxy's counters as the control loop sees them."""

from __future__ import annotations

import asyncio
import time

import pytest

from cloudlet.contracts.edge import Backend, Server, ServerState
from cloudlet.edge import statistics
from cloudlet.edge.statistics import server_state
from cloudlet.errors import EngineFailed

from .conftest import Harness, backend


async def test_counts_what_happened(harness: Harness) -> None:
    """Requests, statuses, response times and states of every server."""
    await harness.start(backend("a", *await harness.servers("a", 2)), backend("empty"))
    await harness.names(10)
    async with harness.client.get("/status/503") as answer:
        assert answer.status == 503
    async with harness.client.get("/status/404") as answer:
        assert answer.status == 404
    slow = asyncio.create_task(harness.name("/sleep/0.3"))
    async with asyncio.timeout(5):
        while not any(upstream.at_once for upstream in harness.upstreams):
            await asyncio.sleep(0.005)
    a, empty = await harness.edge.statistics()
    assert (a.name, a.requests, a.responses_5xx, a.responses_4xx, a.sessions) == ("a", 13, 1, 1, 1)
    assert sum(server.requests for server in a.servers) == 13
    assert {server.name: server.state for server in a.servers} == {"a-1": "up", "a-2": "up"}
    assert all(server.bytes_out > 0 and server.weight == 100 for server in a.servers)
    assert (empty.name, empty.servers) == ("empty", ())
    await slow
    again = (await harness.edge.statistics())[0]
    assert max(server.response_time for server in again.servers) > 0.02


async def test_five_hundred_servers_are_read_cheaply(harness: Harness) -> None:
    """50 backends of 10 servers: a look costs little enough for several in a second."""
    backends = [
        Backend(f"b{n}", check=None, servers=tuple(Server(f"b{n}-{m}", m, "127.0.0.1", 9) for m in range(1, 11)))
        for n in range(50)
    ]
    await harness.start(*backends)
    best, used = 9.0, 9.0
    for _ in range(5):
        began, busy = time.perf_counter(), time.process_time()
        found = await harness.edge.statistics()
        best, used = min(best, time.perf_counter() - began), min(used, time.process_time() - busy)
    print(f"500 servers read in {best * 1000:.1f} ms, {used * 1000:.1f} ms of it our own")
    assert sum(len(item.servers) for item in found) == 500
    assert best < 0.2


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("UP", ServerState.UP),
        ("UP 1/3", ServerState.UP),
        ("no check", ServerState.UP),
        ("DOWN", ServerState.DOWN),
        ("DOWN 1/2", ServerState.DOWN),
        ("DRAIN", ServerState.DRAINING),
        ("DRAIN (agent)", ServerState.DRAINING),
        ("MAINT", ServerState.MAINTENANCE),
        ("MAINT (via a/b)", ServerState.MAINTENANCE),
    ],
)
def test_states_are_recognised(status: str, state: ServerState) -> None:
    """Every way HAProxy writes a state."""
    assert server_state(status) is state


def test_what_is_no_table_is_an_error() -> None:
    """An answer in another form is not taken for "no servers"."""
    with pytest.raises(EngineFailed, match="which is no table"):
        statistics.parse("Unknown command")
