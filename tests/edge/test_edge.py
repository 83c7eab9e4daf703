"""The edge's life: started, changed, succeeded, crashed, adopted."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from cloudlet.contracts.edge import Check, Route, ServerState
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.edge.difference import How
from cloudlet.edge.edge import Edge
from cloudlet.errors import EngineFailed

from .conftest import Harness, backend, haproxy, until
from .load import Load
from .test_protocols import make_certificate


async def test_a_request_reaches_an_instance(harness: Harness) -> None:
    """What is routed is answered by a server of the backend."""
    await harness.start(backend("orders", *await harness.servers("orders", 2)))
    counts = await harness.names(20)
    assert counts.keys() == {"orders-1", "orders-2"}


@pytest.mark.parametrize("name", ["my shop's #1", 'a"b\\c', "100%, $HOME", "café"])
async def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Sockets, maps, errors and certificates are found below it, also by a successor and over the socket."""
    harness = await Harness(StatePaths(tmp_path / name / ".cloudlet")).open()
    try:
        certificates = tmp_path / name / "certificates"
        certificates.mkdir(parents=True)
        make_certificate(certificates / "01.pem")
        https = replace(await harness.listen("gateway-https"), certificates=certificates)
        harness.listeners += (https,)
        a = backend("a", *await harness.servers("a", 1))
        for timeout in (30.0, 31.0):
            await harness.edge.start(harness.configuration(replace(a, timeout=timeout), routes=(Route("/x", "a"),)))
            assert await harness.name("/x") == "a-1"
            await harness.edge.apply(harness.configuration(replace(a, timeout=timeout)))
            assert await harness.name("/y") == "a-1"
    finally:
        await harness.close()


async def test_servers_change_over_the_socket(harness: Harness) -> None:
    """A server more or less is no new process."""
    servers = await harness.servers("orders", 3)
    await harness.start(backend("orders", *servers[:2]))
    pid = harness.edge.pid
    applied = await harness.edge.apply(harness.configuration(backend("orders", *servers[1:])))
    assert applied.how is How.SOCKET, applied
    assert (await harness.names(20)).keys() == {"orders-2", "orders-3"}
    assert harness.edge.pid == pid


async def test_a_new_backend_is_a_succession(harness: Harness) -> None:
    """A new backend needs a new process, and the old one ends."""
    orders = backend("orders", *await harness.servers("orders", 1))
    users = backend("users", *await harness.servers("users", 1))
    await harness.start(orders)
    applied = await harness.edge.apply(
        harness.configuration(orders, users, routes=(Route("/*", "orders"), Route("/users/*", "users")))
    )
    assert applied.how is How.SUCCESSION, applied
    assert "the backend users is new" in applied.because
    assert await harness.name("/users") == "users-1"
    assert await harness.name("/usersx") == "orders-1"


async def test_successions_lose_no_request(harness: Harness) -> None:
    """Ten successions under load fail nothing."""
    orders = backend("orders", *await harness.servers("orders", 2))
    await harness.start(orders)
    async with Load(f"http://127.0.0.1:{harness.port}/", 16) as tally:
        for turn in range(10):
            await harness.edge.apply(harness.configuration(replace(orders, timeout=40.0 + turn)))
    print(f"{tally.sent} requests over 10 successions: {tally.failed} failed", dict(tally.outcomes))
    assert tally.failed == 0
    assert tally.sent > 100


async def test_a_crash_brings_the_same_servers_back(harness: Harness) -> None:
    """HAProxy killed is restarted with servers that came and went over its socket; connections wait meanwhile."""
    servers = await harness.servers("orders", 3)
    await harness.start(backend("orders", *servers[:2]))
    await harness.edge.add_server("orders", servers[2])
    await harness.edge.remove_server("orders", "orders-1")
    pid = harness.edge.pid
    await harness.supervisor.signal("edge-1", signal.SIGKILL)
    counts = await harness.names(20)
    print(counts)
    assert counts.keys() == {"orders-2", "orders-3"}
    await until(lambda: harness.edge.pid not in (None, pid))
    assert harness.edge.restarts == 1


async def test_a_change_just_before_a_crash_is_made_again(harness: Harness) -> None:
    """What the files missed when HAProxy died is given to it when it is back."""
    servers = await harness.servers("orders", 2)
    await harness.start(backend("orders", servers[0]))
    await harness.edge.add_server("orders", servers[1])
    await harness.supervisor.signal("edge-1", signal.SIGKILL)
    await until(lambda: harness.edge.restarts == 1)
    await harness.wait_server("orders", "orders-2", lambda s: s.state is ServerState.UP, 5)
    assert (await harness.names(20)).keys() == {"orders-1", "orders-2"}


async def test_adoption_takes_over_what_runs(harness: Harness) -> None:
    """A new cloudlet finds the process, its servers and what drains, and starts nothing."""
    servers = await harness.servers("orders", 3)
    await harness.start(backend("orders", *servers))
    await harness.edge.drain_server("orders", "orders-3")
    pid = harness.edge.pid
    harness.edge = harness.new_edge()
    applied = await harness.edge.start(harness.configuration(backend("orders", *servers[:2])))
    assert applied.how is How.NOTHING, applied
    assert harness.edge.pid == pid
    states = {s.name: s.state for b in await harness.edge.statistics() for s in b.servers}
    assert states == {"orders-1": "up", "orders-2": "up", "orders-3": "draining"}


async def test_adoption_mends_what_differs(harness: Harness) -> None:
    """Servers that changed while cloudlet was dead are put right over the socket."""
    servers = await harness.servers("orders", 3)
    await harness.start(backend("orders", *servers[:2]))
    harness.edge = harness.new_edge()
    moved = replace(servers[2], name="orders-1", ordinal=1)
    applied = await harness.edge.start(harness.configuration(backend("orders", moved)))
    assert applied.how is How.SOCKET, applied
    assert (await harness.names(10)).keys() == {"orders-3"}


async def test_a_broken_configuration_changes_nothing(harness: Harness) -> None:
    """The predecessor goes on serving, and the error says what HAProxy said."""
    orders = backend("orders", *await harness.servers("orders", 1))
    await harness.start(orders)
    with pytest.raises(EngineFailed, match=r"haproxy did not start.*unmatched quote"):
        await harness.edge.apply(harness.configuration(replace(orders, sticky_cookie='a" bad')))
    assert await harness.name() == "orders-1"
    assert (await harness.edge.apply(harness.configuration(orders))).how is How.NOTHING
    assert [p.spec.name for p in (await harness.supervisor.processes()).values()] == ["edge-1"]


async def test_a_down_server_stays_down_over_a_succession(harness: Harness) -> None:
    """A successor knows at once which servers are down, and does not send them requests first."""
    servers = await harness.servers("orders", 2)
    orders = backend("orders", *servers, check=Check(path="/health", interval=0.05, fall=1))
    await harness.start(orders)
    harness.upstreams[0].health = 500
    await harness.wait_server("orders", "orders-1", lambda s: s.state is ServerState.DOWN, 5)
    slower = replace(orders, check=replace(orders.check, interval=60.0))
    assert (await harness.edge.apply(harness.configuration(slower))).how is How.SUCCESSION
    assert (await harness.names(20)).keys() == {"orders-2"}


async def test_routes_change_over_the_socket(harness: Harness) -> None:
    """Routes to known backends are live without a new process, and are in the file too."""
    a, b = [backend(name, *await harness.servers(name, 1)) for name in ("a", "b")]
    await harness.start(a, b, routes=(Route("/*", "a"),))
    many = tuple(Route(f"/many/{n}/*", "b") for n in range(1000))
    applied = await harness.edge.apply(
        harness.configuration(a, b, routes=(Route("/*", "a"), Route("/b/*", "b"), *many))
    )
    assert applied.how is How.SOCKET, applied
    assert [await harness.name(path) for path in ("/", "/b", "/b/x", "/many/999/x")] == ["a-1", "b-1", "b-1", "b-1"]
    await harness.supervisor.signal("edge-1", signal.SIGKILL)
    assert [await harness.name(path) for path in ("/", "/b/x", "/many/7")] == ["a-1", "b-1", "b-1"]


async def test_runs_without_privileges(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As root, HAProxy runs as a user of its own, with its files unreadable to others."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    harness = Harness(StatePaths(folder / ".cloudlet"))
    harness.edge = Edge(harness.paths, harness.supervisor, haproxy(), User(61184, 61184))
    await harness.open()
    try:
        await harness.start(backend("orders", *await harness.servers("orders", 1)))
        assert await harness.name() == "orders-1"
        assert Path(f"/proc/{harness.edge.pid}").stat().st_uid == 61184
        assert (harness.paths.edge / "generation-1" / "haproxy.cfg").stat().st_mode & 0o777 == 0o640
        orders = backend("orders", *await harness.servers("orders", 1), timeout=3.0)
        await harness.edge.apply(harness.configuration(orders))
        assert await harness.name() == "orders-1"
    finally:
        await harness.close()
        shutil.rmtree(folder)
