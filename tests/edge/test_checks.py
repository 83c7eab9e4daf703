"""Active checks, slow start, draining, removal, failure."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from cloudlet.contracts.edge import Algorithm, Balance, Check, ServerState

from .conftest import Harness, backend

_QUICK = Check(path="/health", interval=0.03, timeout=0.5, rise=2, fall=2, expect=((200, 299), (404, 404)))


async def test_checks_take_a_server_out_and_in(harness: Harness) -> None:
    """An unexpected status takes it out after `fall`, an expected one in after `rise`; also for one added later."""
    servers = await harness.servers("a", 2)
    await harness.start(backend("a", servers[0], check=_QUICK))
    await harness.edge.add_server("a", servers[1])
    for upstream in harness.upstreams:
        upstream.health = 500
        down = await harness.wait_server("a", upstream.name, lambda s: s.state is ServerState.DOWN, 5)
        assert down.check == "L7STS/500"
        assert upstream.name not in await harness.names(10)
        upstream.health = 404
        up = await harness.wait_server("a", upstream.name, lambda s: s.state is ServerState.UP, 5)
        assert up.check == "L7OK/404"
        assert upstream.name in await harness.names(10)


async def test_a_tcp_check_sees_a_closed_port(harness: Harness) -> None:
    """Without a path a connection is enough."""
    await harness.start(backend("a", *await harness.servers("a", 2)))
    await harness.upstreams[0].stop()
    down = await harness.wait_server("a", "a-1", lambda s: s.state is ServerState.DOWN, 5)
    assert down.check == "L4CON"
    assert (await harness.names(10)).keys() == {"a-2"}


async def test_a_new_server_starts_slowly(harness: Harness) -> None:
    """With slow start it begins with little and ends with its share."""
    servers = await harness.servers("a", 2)
    balance = Balance(Algorithm.ROUND_ROBIN)
    await harness.start(backend("a", servers[0], slow_start=1.0, balance=balance))
    await harness.edge.add_server("a", servers[1])
    early = await harness.names(60)
    await asyncio.sleep(1.1)  # the slow start itself is what is measured
    late = await harness.names(100)
    print("early:", early, "late:", late)
    assert early.get("a-2", 0) < 20
    assert 40 <= late["a-2"] <= 60


async def test_a_draining_server_finishes_what_it_has(harness: Harness) -> None:
    """No new requests; the one under way ends well; then it can be restored."""
    await harness.start(backend("a", *await harness.servers("a", 2), balance=Balance(Algorithm.ROUND_ROBIN)))
    slow = [asyncio.create_task(harness.name("/sleep/0.4")) for _ in range(2)]
    async with asyncio.timeout(5):
        while not all(upstream.at_once for upstream in harness.upstreams):
            await asyncio.sleep(0.005)
    await harness.edge.drain_server("a", "a-1")
    assert await harness.edge.sessions("a", "a-1") == 1
    assert (await harness.names(10)).keys() == {"a-2"}
    assert sorted(await asyncio.gather(*slow)) == ["a-1", "a-2"]
    async with asyncio.timeout(2):
        while await harness.edge.sessions("a", "a-1"):
            await asyncio.sleep(0.005)
    await harness.edge.restore_server("a", "a-1")
    assert (await harness.names(10)).keys() == {"a-1", "a-2"}


async def test_removal_lets_requests_end(harness: Harness) -> None:
    """A request under way ends well, and the address is in no file afterwards."""
    await harness.start(backend("a", *await harness.servers("a", 2), balance=Balance(Algorithm.ROUND_ROBIN)))
    quick = [asyncio.create_task(harness.name("/sleep/0.3")) for _ in range(2)]
    async with asyncio.timeout(5):
        while not all(upstream.at_once for upstream in harness.upstreams):
            await asyncio.sleep(0.005)
    await harness.edge.remove_server("a", "a-1", within=2.0)
    assert sorted(await asyncio.gather(*quick)) == ["a-1", "a-2"]
    assert await harness.edge.sessions("a", "a-1") is None
    assert str(harness.upstreams[0].port) not in harness.edge.configuration_text()
    assert str(harness.upstreams[0].port) not in (harness.paths.edge / "generation-1" / "haproxy.cfg").read_text()


async def test_a_stuck_request_does_not_hold_its_servers_name(harness: Harness) -> None:
    """Removal returns in time, and a new server of the name comes at once, cutting what the old one still has."""
    servers = await harness.servers("a", 1)
    await harness.start(backend("a", *servers))
    stuck = asyncio.create_task(harness.name("/sleep/30"))
    async with asyncio.timeout(5):
        while not harness.upstreams[0].at_once:
            await asyncio.sleep(0.005)
    began = time.monotonic()
    await harness.edge.remove_server("a", "a-1", within=0.2)
    again = await harness.upstream("a-1")
    await harness.edge.add_server("a", replace(servers[0], port=again.port))
    assert time.monotonic() - began < 1.5
    stuck.cancel()
    assert await harness.name() == "a-1"
    assert again.requests == 1


async def test_a_failed_server_is_out_at_once_and_may_come_back(harness: Harness) -> None:
    """Within milliseconds no request goes there; the same name at another port is taken in."""
    servers = await harness.servers("a", 2)
    await harness.start(backend("a", *servers))
    await harness.names(20)
    began = time.monotonic()
    await harness.edge.fail_server("a", "a-1")
    out = time.monotonic() - began
    assert (await harness.names(20)).keys() == {"a-2"}
    again = await harness.upstream("a-1")
    began = time.monotonic()
    await harness.edge.add_server("a", replace(servers[0], port=again.port))
    back = time.monotonic() - began
    print(f"out after {out * 1000:.1f} ms, in again after {back * 1000:.1f} ms")
    await harness.names(20)
    assert again.requests > 0
    assert harness.upstreams[0].requests < 30


async def test_every_step_can_be_repeated(harness: Harness) -> None:
    """The control loop repeats what it is not sure of: nothing breaks."""
    servers = await harness.servers("a", 2)
    await harness.start(backend("a", servers[0]))
    for _ in range(2):
        await harness.edge.add_server("a", servers[1])
        await harness.edge.drain_server("a", "a-2")
        await harness.edge.drain_server("a", "a-2")
    await harness.edge.add_server("a", servers[1])
    assert (await harness.names(10)).keys() == {"a-1", "a-2"}
    for _ in range(2):
        await harness.edge.fail_server("a", "a-2")
        await harness.edge.remove_server("a", "a-2")
        await harness.edge.restore_server("a", "a-2")
        await harness.edge.set_weight("a", "a-2", 5)
    assert (await harness.names(10)).keys() == {"a-1"}
