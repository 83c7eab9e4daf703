"""Several HAProxy processes side by side: they share the traffic, come and go, and are counted together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudlet.contracts.edge import Backend, BackendStatistics, EdgeConfiguration, ServerState, ServerStatistics
from cloudlet.contracts.paths import StatePaths
from cloudlet.edge.difference import How
from cloudlet.edge.generation import number_of, numbered, replica_of
from cloudlet.edge.group import EdgeGroup, share
from cloudlet.edge.sums import Sums
from cloudlet.errors import DependencyError

from .conftest import Harness, backend, haproxy, until
from .load import Load


class Replicated(Harness):
    """A harness whose edge is a group."""

    edge: EdgeGroup  # type: ignore[assignment]

    def new_edge(self) -> EdgeGroup:  # type: ignore[override]
        return EdgeGroup(self.paths, self.supervisor, haproxy())

    def replicated(self, replicas: int, *backends: Backend) -> EdgeConfiguration:
        return replace(self.configuration(*backends), replicas=replicas, threads=1)

    async def running(self) -> set[str]:
        return {name for name, process in (await self.supervisor.processes()).items() if process.exit is None}

    async def wait_alone(self) -> None:
        """One process of the first replica runs, and no other."""
        async with asyncio.timeout(10):
            while [replica_of(name) for name in await self.running()] != [1]:
                await asyncio.sleep(0.02)


@pytest.fixture
async def replicated(tmp_path: Path) -> AsyncIterator[Replicated]:
    made = Replicated(StatePaths(tmp_path / ".cloudlet"))
    await made.open()
    yield made
    await made.close()


async def requests_of_each(harness: Replicated) -> list[int]:
    """What each replica has counted, in their order."""
    edges = harness.edge._all()
    return [sum(item.requests for item in await edge.statistics()) for edge in edges]


@pytest.mark.parametrize(
    ("name", "replica", "number"),
    [("edge-7", 1, 7), ("edge-2-7", 2, 7), ("edge-12", 1, 12), ("edge-1-7", None, None), ("edge-web-7", None, None)],
)
def test_names_of_processes_say_replica_and_generation(name: str, replica: int | None, number: int | None) -> None:
    """The first replica's are as they were when there was but one."""
    assert (replica_of(name), number_of(name)) == (replica, number)
    if replica is not None and number is not None:
        assert f"edge-{numbered(replica, number)}" == name


def test_what_each_counts_alone_is_divided_and_rounded_up() -> None:
    """10 at once over three replicas are 4 each; no limit stays none, and nobody gets nothing."""
    given = backend("a", concurrency=10, wait_at_most=1)
    part = share(EdgeConfiguration(backends=(given, backend("b")), replicas=3)).backends
    assert [(item.concurrency, item.wait_at_most) for item in part] == [(4, 1), (0, 334)]


async def test_replicas_share_the_traffic(replicated: Replicated) -> None:
    """Both accept from one socket, and what they count is added up."""
    await replicated.edge.start(replicated.replicated(2, backend("a", *await replicated.servers("a", 2))))
    assert await replicated.running() == {"edge-1", "edge-2-1"}
    sent = 0
    async with asyncio.timeout(20):
        while min(await requests_of_each(replicated)) < 50:
            # a connection each: who is free accepts it
            await asyncio.gather(*(replicated.name(headers={"Connection": "close"}) for _ in range(20)))
            sent += 20
    counts = await requests_of_each(replicated)
    (found,) = await replicated.edge.statistics()
    print(f"{sent} requests: {counts} for each")
    assert found.requests == sum(counts) == sent
    assert sum(server.requests for server in found.servers) == sent


async def test_servers_come_and_go_in_each(replicated: Replicated) -> None:
    """Each replica is told, also the one that is restarted just then."""
    first, second = await replicated.servers("a", 2)
    await replicated.edge.start(replicated.replicated(2, backend("a", first)))
    await replicated.edge.add_server("a", second)
    assert await replicated.names(64) == {"a-1": 32, "a-2": 32} or len(await replicated.names(64)) == 2
    await replicated.edge.remove_server("a", "a-1")
    for edge in replicated.edge._all():
        (found,) = await edge.statistics()
        assert [server.name for server in found.servers] == ["a-2"]
    assert await replicated.names(32) == {"a-2": 32}


async def test_one_more_and_one_less_lose_nothing(replicated: Replicated) -> None:
    """1 → 2 → 1 under load: nothing fails, and the one too many ends when it has finished."""
    servers = await replicated.servers("a", 2)
    await replicated.edge.start(replicated.replicated(1, backend("a", *servers)))
    async with Load(f"http://127.0.0.1:{replicated.port}/", 16) as tally:
        for count in (2, 1, 2, 1):
            applied = await replicated.edge.apply(replicated.replicated(count, backend("a", *servers)))
            assert applied.how is How.SUCCESSION
            assert applied.because.startswith("1 replica more" if count == 2 else "1 replica fewer")
            await asyncio.sleep(0.2)  # load between two changes
    await replicated.wait_alone()
    print(f"{tally.sent} requests over 4 changes: {tally.failed} failed", dict(tally.outcomes))
    assert tally.failed == 0
    assert not list(replicated.paths.edge.glob("generation-2-*"))


async def test_a_request_that_waits_with_a_leaving_replica_is_served(replicated: Replicated) -> None:
    """Held for an instance that is not there yet, and both replicas hold some: they go to the one that stays."""
    await replicated.edge.start(replicated.replicated(2, backend("a")))
    waiting = [asyncio.create_task(replicated.name()) for _ in range(40)]

    async def held() -> list[int]:
        return [sum(item.queued for item in await edge.statistics()) for edge in replicated.edge._all()]

    async with asyncio.timeout(5):
        while sum(counts := await held()) < 40:
            await asyncio.sleep(0.01)
    print("held by each:", counts)
    await replicated.edge.apply(replicated.replicated(1, backend("a")))
    await replicated.edge.add_server("a", (await replicated.servers("a", 1))[0])
    assert await asyncio.gather(*waiting) == ["a-1"] * 40


async def test_a_new_control_adopts_both(replicated: Replicated) -> None:
    """Nothing is started or ended, and servers that were added meanwhile are known."""
    servers = await replicated.servers("a", 2)
    await replicated.edge.start(replicated.replicated(2, backend("a", servers[0])))
    await replicated.edge.add_server("a", servers[1])
    before = {name: process.pid for name, process in (await replicated.supervisor.processes()).items()}
    replicated.edge = replicated.new_edge()
    await replicated.edge.start(replicated.replicated(2, backend("a", *servers)))
    assert {name: process.pid for name, process in (await replicated.supervisor.processes()).items()} == before
    assert replicated.edge.pids == {"edge": before["edge-1"], "edge-2": before["edge-2-1"]}


async def test_a_new_control_that_wants_fewer_retires_the_rest(replicated: Replicated) -> None:
    """What cloudlet did not live to carry out, its successor does; and an edge of one replica is adopted by more."""
    servers = await replicated.servers("a", 1)
    await replicated.edge.start(replicated.replicated(2, backend("a", *servers)))
    replicated.edge = replicated.new_edge()
    await replicated.edge.start(replicated.replicated(1, backend("a", *servers)))
    await replicated.wait_alone()
    replicated.edge = replicated.new_edge()
    await replicated.edge.start(replicated.replicated(3, backend("a", *servers)))
    running = await replicated.running()
    assert {replica_of(name) for name in running} == {1, 2, 3}
    assert await replicated.name() == "a-1"


async def test_a_replica_that_could_not_be_retired_is_retired_by_the_next_apply(
    replicated: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that went on unseen would serve with the configuration of that moment for ever."""
    servers = await replicated.servers("a", 1)
    await replicated.edge.start(replicated.replicated(2, backend("a", *servers)))
    with monkeypatch.context() as patched:
        patched.setattr(replicated.supervisor, "stop", _refused)
        with pytest.raises(DependencyError, match="the keeper is away"):
            await replicated.edge.apply(replicated.replicated(1, backend("a", *servers)))
    await replicated.edge.apply(replicated.replicated(1, backend("a", *servers)))
    await replicated.wait_alone()


async def _refused(*_: object) -> None:
    raise DependencyError("the keeper is away")


async def test_a_dead_replica_costs_only_what_it_had(replicated: Replicated) -> None:
    """One, then the other is killed under load: nobody is refused, and what the dead one counted stays counted."""
    await replicated.edge.start(replicated.replicated(2, backend("a", *await replicated.servers("a", 2))))
    async with Load(f"http://127.0.0.1:{replicated.port}/", 16) as tally:
        for turn, name in enumerate(("edge-1", "edge-2-1", "edge-1")):
            await asyncio.sleep(0.2)  # load between two crashes
            before = (await replicated.edge.statistics())[0].requests
            await replicated.supervisor.signal(name, signal.SIGKILL)
            await until(lambda turn=turn: replicated.edge.restarts > turn)
            assert (await replicated.edge.statistics())[0].requests >= before
    print(f"{tally.sent} requests over 3 crashes of one of two: {tally.failed} cut in flight", dict(tally.outcomes))
    assert tally.failed <= 3 * 16
    assert "ClientConnectorError" not in tally.outcomes


def _said(requests: int, errors: int = 0, state: ServerState = ServerState.UP) -> tuple[BackendStatistics, ...]:
    server = ServerStatistics(
        "a", "a-1", state, 100, 1, 0, requests, errors, 0, 0, 0, 0, 0.1, "L4OK", responses=requests
    )
    return (BackendStatistics("a", 1, 0, requests, 5, 0, errors, 0.1, (server,)),)


def test_counts_are_added_and_never_fall() -> None:
    """Of two, one is restarted, then silent for a moment: the sum keeps what it had counted."""
    sums = Sums()
    assert sums.add({1: _said(10), 2: _said(20, 3)})[0].requests == 30
    (restarted,) = sums.add({1: _said(11), 2: _said(2)})
    assert (restarted.requests, restarted.servers[0].connection_errors, restarted.sessions) == (33, 3, 2)
    (silent,) = sums.add({1: _said(12)})
    assert (silent.requests, silent.sessions, silent.rate) == (34, 1, 5)
    sums.forget(2)
    assert sums.add({1: _said(12)})[0].requests == 12


def test_a_server_is_up_where_any_replica_has_it_up() -> None:
    """The one that says otherwise has just begun to check it."""
    (found,) = Sums().add({1: _said(1, state=ServerState.DOWN), 2: _said(1)})
    assert found.servers[0].state is ServerState.UP
