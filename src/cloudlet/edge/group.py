"""The edge as everybody else sees it: one or several HAProxy processes side by side on the same held sockets.

Each is an `Edge` with files, sockets and a door of its own. All accept from the same queues, so when one dies the
others serve what waits there. What is asked of the group is done by each; one that is just being restarted is given it
by its own `Edge` when it is back, as with a single process.

Invariant: the first replica takes a new configuration first, so that one that HAProxy refuses changes nothing.

`concurrency` and `wait_at_most` are counted by each process alone, so each gets its share of them, rounded up: with 3
replicas and a concurrency of 10 an instance may get 12 requests at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from cloudlet.contracts.edge import Backend, BackendStatistics, EdgeConfiguration, Route, RouteStatistics, Server
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import Exit, Supervisor, User
from cloudlet.edge.breakers import BreakerState, breaker_state
from cloudlet.edge.difference import Applied, How
from cloudlet.edge.edge import Edge
from cloudlet.edge.generation import replica_of
from cloudlet.edge.route_statistics import added
from cloudlet.edge.sums import Sums
from cloudlet.errors import EngineFailed, Refused

T = TypeVar("T")


class EdgeGroup:
    """Used like an `Edge`; `EdgeConfiguration.replicas` says how many there are."""

    def __init__(self, paths: StatePaths, supervisor: Supervisor, binary: Path, user: User | None = None) -> None:
        self._supervisor = supervisor
        self._make: Callable[[int], Edge] = lambda replica: Edge(paths, supervisor, binary, user, replica)
        # the first is there before the start, so that whoever asks too early is told so by it
        self._edges: dict[int, Edge] = {1: self._make(1)}
        self._serving: tuple[int, ...] = (1,)
        self._sums = Sums()
        self._changing = asyncio.Lock()

    # life

    async def start(self, configuration: EdgeConfiguration) -> Applied:
        """Bring every replica to `configuration`: adopt those that run, start those that don't, and retire those that
        are too many."""
        async with self._changing:
            wanted = range(1, configuration.replicas + 1)
            applied = [await self._edge(replica).start(share(configuration)) for replica in wanted]
            self._serving = tuple(wanted)
            for replica in await self._running_beyond(configuration.replicas):
                await self._edge(replica).adopt()
                await self._retire(replica)
        return _together(applied)

    async def apply(self, configuration: EdgeConfiguration, out: Collection[tuple[str, str]] = ()) -> Applied:
        """As `Edge.apply`, for each replica in turn; and where there are to be more or fewer of them, no request
        notices: a new one serves before this returns, one too many finishes what it has."""
        async with self._changing:
            wanted = range(1, configuration.replicas + 1)
            applied = [await self._bring(replica, share(configuration), out) for replica in wanted]
            before, self._serving = self._serving, tuple(wanted)
            for replica in self._too_many():
                await self._retire(replica)
        return _together(applied, len(self._serving) - len(before))

    async def close(self) -> None:
        """Leave HAProxy running and its files as they should be."""
        for edge in self._edges.values():
            await edge.close()

    async def exited(self, end: Exit) -> bool:
        """A process ended; whether it was the edge's."""
        replica = replica_of(end.name)
        return replica is not None and await self._edge(replica).exited(end)

    async def _bring(self, replica: int, configuration: EdgeConfiguration, out: Collection[tuple[str, str]]) -> Applied:
        edge = self._edge(replica)
        return await edge.apply(configuration, out) if edge.running or replica == 1 else await edge.start(configuration)

    def _too_many(self) -> list[int]:
        """Replicas that run and are not to; also those that could not be retired when they should have been."""
        return [replica for replica, edge in self._edges.items() if edge.running and replica not in self._serving]

    async def _retire(self, replica: int) -> None:
        await self._edge(replica).retire(self._edges[1])
        self._sums.forget(replica)

    async def _running_beyond(self, count: int) -> list[int]:
        """Replicas above that number of which a process runs, left by who had more or died while they finished."""
        processes = await self._supervisor.processes()
        found = {replica_of(name) for name, process in processes.items() if process.exit is None}
        return sorted(replica for replica in found if replica is not None and replica > count)

    def _edge(self, replica: int) -> Edge:
        if replica not in self._edges:
            self._edges[replica] = self._make(replica)
        return self._edges[replica]

    def _all(self) -> list[Edge]:
        return [self._edges[replica] for replica in self._serving]

    # servers

    async def add_server(self, backend: str, server: Server) -> None:
        await self._each(lambda edge: edge.add_server(backend, server))

    async def drain_server(self, backend: str, name: str) -> None:
        await self._each(lambda edge: edge.drain_server(backend, name))

    async def restore_server(self, backend: str, name: str) -> None:
        await self._each(lambda edge: edge.restore_server(backend, name))

    async def set_weight(self, backend: str, name: str, weight: int) -> None:
        await self._each(lambda edge: edge.set_weight(backend, name, weight))

    async def fail_server(self, backend: str, name: str) -> None:
        await self._each(lambda edge: edge.fail_server(backend, name))

    async def remove_server(self, backend: str, name: str, within: float = 1.0) -> None:
        await self._each(lambda edge: edge.remove_server(backend, name, within))

    async def _each(self, act: Callable[[Edge], Awaitable[None]]) -> None:
        """All of them at once, whatever becomes of the others; then the first failure."""
        for outcome in await asyncio.gather(*map(act, self._all()), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    # what is seen

    @property
    def pid(self) -> int | None:
        """The first replica's process."""
        return self._edges[1].pid

    @property
    def pids(self) -> dict[str, int | None]:
        """Each replica's process, as status and metrics call it: `edge`, `edge-2`, …"""
        return {replica_name(replica): self._edges[replica].pid for replica in self._serving}

    @property
    def restarts(self) -> int:
        return sum(edge.restarts for edge in self._all())

    def restarts_of(self, name: str) -> int:
        """How often the replica of that name was restarted."""
        return sum(self._edges[replica].restarts for replica in self._serving if replica_name(replica) == name)

    async def statistics(self) -> tuple[BackendStatistics, ...]:
        """What all replicas counted together. One that is just being restarted counts with what it said last."""
        if len(self._serving) == 1:
            return await self._edges[self._serving[0]].statistics()
        found = await self._from_each(lambda edge: edge.statistics())
        return self._sums.add(found)

    async def route_statistics(self) -> tuple[RouteStatistics, ...]:
        """The same of routes, of those replicas that answer."""
        return added((await self._from_each(lambda edge: edge.route_statistics())).values())

    async def sessions(self, backend: str, name: str) -> int | None:
        """Requests and connections the server has now; None when it is not there."""
        counts = (await self._from_each(lambda edge: edge.sessions(backend, name))).values()
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    async def table(self, name: str) -> str:
        """A stick table of the first replica; where there are more, none that is asked for is native."""
        return await self._edges[1].table(name)

    async def breakers(self, services: Iterable[str]) -> dict[tuple[str, str], BreakerState]:
        """The breaker of each of these services in each replica, by service and replica's name; that is empty where
        there is one replica only."""
        return {key: state for service in services for key, state in (await self._breaker(service)).items()}

    async def _breaker(self, service: str) -> dict[tuple[str, str], BreakerState]:
        tables = await self._from_each(lambda edge: edge.table(service))
        return {(service, self._said_of(replica)): breaker_state(text) for replica, text in tables.items()}

    async def spent_budgets(self) -> dict[tuple[str, str], str]:
        """Services whose retry budget is spent, with the replica's name: "90 of 400" repeats of requests."""
        found = await self._from_each(lambda edge: edge.spent_budgets())
        return {(name, self._said_of(r)): counts for r, spent in found.items() for name, counts in spent.items()}

    def _said_of(self, replica: int) -> str:
        return replica_name(replica) if len(self._serving) > 1 else ""

    def configuration_text(self) -> str:
        """haproxy.cfg of the first replica; the others' differ in nothing."""
        return self._edges[1].configuration_text()

    async def _from_each(self, ask: Callable[[Edge], Awaitable[T]]) -> dict[int, T]:
        """The answers of those that answer. Raises what one of them raised when there are none."""
        edges = [(replica, self._edges[replica]) for replica in self._serving]
        outcomes = await asyncio.gather(*(ask(edge) for _, edge in edges), return_exceptions=True)
        answers: dict[int, T] = {}
        for (replica, _), outcome in zip(edges, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                if not isinstance(outcome, (EngineFailed, Refused)):
                    raise outcome
            else:
                answers[replica] = outcome
        if not answers:
            raise next(outcome for outcome in outcomes if isinstance(outcome, BaseException))
        return answers


def replica_name(replica: int) -> str:
    return "edge" if replica == 1 else f"edge-{replica}"


def share(configuration: EdgeConfiguration) -> EdgeConfiguration:
    """What each replica is configured with: its part of what is counted by each process alone."""
    if configuration.replicas == 1:
        return configuration
    count = configuration.replicas
    return replace(
        configuration,
        backends=tuple(_part(backend, count) for backend in configuration.backends),
        routes=tuple(_part_of_route(route, count) for route in configuration.routes),
    )


def _part(backend: Backend, replicas: int) -> Backend:
    return replace(
        backend,
        concurrency=-(-backend.concurrency // replicas),
        wait_at_most=-(-backend.wait_at_most // replicas),
    )


def _part_of_route(route: Route, replicas: int) -> Route:
    """A bulkhead is counted by each process alone too."""
    if route.design is None or route.design.concurrency is None:
        return route
    concurrency = -(-route.design.concurrency // replicas)
    return replace(route, design=route.design.model_copy(update={"concurrency": concurrency}))


def _together(applied: Iterable[Applied], more: int = 0) -> Applied:
    """The strongest of what was done, with its reason."""
    order = list(How)
    strongest = max(applied, key=lambda item: order.index(item.how))
    if not more:
        return strongest
    said = f"{abs(more)} replica{'s' if abs(more) > 1 else ''} {'more' if more > 0 else 'fewer'}"
    because = said if strongest.how is How.NOTHING else f"{said}; {strongest.because}"
    return Applied(How.SUCCESSION, because)
