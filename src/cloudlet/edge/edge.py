"""The edge of one stack: the HAProxy that runs now, what it is configured with, and every way to change that.

    construct (no side effects) → start (or adopt) → apply, add_server … → close

Invariants: the files of the present generation say what the running process does, within `_WRITE_AFTER`, so that a
crash brings the same servers back; and they no longer name a server when `remove_server` returns, because its port may
be somebody else's by then. HAProxy itself is the truth about servers: adoption and a restart after a crash compare with
what it says, not with a memory of what was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from cloudlet import __version__
from cloudlet.contracts.edge import (
    Backend,
    BackendStatistics,
    EdgeConfiguration,
    RouteStatistics,
    Server,
    ServerStatistics,
)
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import Exit, Process, Supervisor, User
from cloudlet.edge import live, route_statistics, statistics
from cloudlet.edge.breakers import spent_budgets
from cloudlet.edge.certificates.exchange import exchange, exchanged, loaded
from cloudlet.edge.difference import Applied, Difference, How, difference, exchanges, place
from cloudlet.edge.generation import Generation, Record, number_of, numbers_on_disk, replica_of
from cloudlet.edge.predecessors import Predecessors
from cloudlet.edge.removals import Removals
from cloudlet.edge.render import render
from cloudlet.edge.render_retries import SPENT, budgets
from cloudlet.edge.servers import Servers
from cloudlet.edge.socket import RuntimeSocket
from cloudlet.edge.succession import Starter
from cloudlet.errors import EngineFailed, Refused

#: seconds until a change made over the socket is in the file, so that many changes are one write
_WRITE_AFTER = 0.03
#: seconds that a retired process gets beyond the time after which it cuts by itself what is left
_CUT_LATER = 60.0


class Edge:
    """Every method that changes something raises EngineFailed when HAProxy does not obey."""

    def __init__(
        self, paths: StatePaths, supervisor: Supervisor, binary: Path, user: User | None = None, replica: int = 1
    ) -> None:
        self._paths, self._supervisor, self._user = paths, supervisor, user
        self.replica = replica
        self._starter = Starter(supervisor, binary, user, paths.log("edge"))
        self._generation: Generation | None = None
        self._process: Process | None = None
        self._socket: RuntimeSocket | None = None
        self._record = Record()
        self._predecessors = Predecessors()
        self._changing = asyncio.Lock()
        self._writing: asyncio.Task[None] | None = None
        self._removals = Removals()
        self._counts = route_statistics.RouteCounts()
        self.restarts = 0

    # life

    async def start(self, configuration: EdgeConfiguration) -> Applied:
        """Bring the edge to `configuration`: adopt the process that runs and change what differs, or start one."""
        adopted = await self.adopt()
        return await self.apply(configuration) if adopted else await self._begin(configuration)

    async def adopt(self) -> bool:
        """Take over the process that runs, if there is one, without changing it."""
        self._paths.create()
        async with self._changing:
            return await self._adopt()

    async def apply(self, configuration: EdgeConfiguration, out: Collection[tuple[str, str]] = ()) -> Applied:
        """Bring the running edge to `configuration` in the gentlest way there is. Servers that drain stay until they
        are removed; those it names get requests again, unless they are in `out`, (backend, server) each. One that
        HAProxy does not accept changes nothing, and its alerts are in the EngineFailed."""
        async with self._changing:
            self._running()
            wanted = self._record_of(configuration, out)
            steps = self._difference(wanted)
            if not steps.beyond:
                steps = await self._exchange_certificates(wanted, steps)
            if steps.beyond:
                await self._succeed(wanted)
            else:
                await self._carry_out(wanted, steps)
            return steps.applied()

    async def close(self) -> None:
        """Leave HAProxy running and its files as they should be."""
        await self._removals.stop()
        if self._writing is not None:
            self._writing.cancel()
        if self._generation is not None:
            self._write_now()

    @property
    def running(self) -> bool:
        """Whether there is a process to talk to."""
        return self._socket is not None

    async def retire(self, heir: Edge) -> None:
        """Finish: no new connections, what is open goes on, and requests that wait here for an instance wait with
        another replica from now on. Harmless when nothing runs; `start` begins anew."""
        async with self._changing:
            await self._removals.stop()
            self._predecessors.leave_to(heir._predecessors)
            if self._generation is None or self._process is None:
                return
            present, generation = self._process, self._generation
            _, living = heir._running()
            generation.lead_to(living.settings.door)
            heir._predecessors.add(present.pid)
            await self._supervisor.stop(present.spec.name, generation.settings.longest_drain + _CUT_LATER)
            self._process, self._generation, self._socket, self._record = None, None, None, Record()
            generation.delete()

    async def exited(self, end: Exit) -> bool:
        """A process ended; whether it was the edge's. A predecessor is forgotten; the present one, restarted by the
        keeper, gets what its files missed."""
        number = self._number_of(end.name)
        if number is None:
            return False
        async with self._changing:  # it may be succeeded just now
            if self._generation is not None and number == self._generation.number:
                await self._present_exited(end)
            elif end.restarted_as is None:
                self._predecessors.forget(end.pid)
                await self._forget(end.name)
        return True

    async def _present_exited(self, end: Exit) -> None:
        if end.restarted_as is not None:
            self.restarts += 1
            await self._mend()
        elif self._process is not None and self._process.pid == end.pid:
            await self._forget(end.name)
            self._process = None
            await self._succeed(self._record)

    async def _mend(self) -> None:
        """HAProxy came back from its files: give it what was asked for since they were written."""
        socket, generation = self._running()
        self._process = (await self._supervisor.processes()).get(generation.name)
        found = live.parse(await socket.ask(live.COMMAND))
        wanted = self._record
        self._record = found.record(wanted)
        await self._carry_out(wanted, difference(self._record.configuration, wanted.configuration))
        for backend, server in wanted.draining & found.present():
            await Servers(socket).drain(backend, server)

    async def _forget(self, name: str) -> None:
        process = (await self._supervisor.processes()).get(name)
        if process is not None and process.exit is not None:
            await self._supervisor.forget(name)

    # servers

    async def add_server(self, backend: str, server: Server) -> None:
        """Give it requests. Harmless when it has them already; another server of its name goes first."""
        async with self._changing:
            socket, _ = self._running()
            present = self._server(backend, server.name)
            if present is not None and place(present) == place(server):
                await Servers(socket).ready(backend, server.name)
                await Servers(socket).set_weight(backend, server.name, server.weight)
                self._keep(backend, server.name, server)
            else:
                await self._put(backend, server)
            self._write_soon()

    async def _put(self, backend: str, server: Server) -> None:
        """Add it in the place of whatever has its name now, or is still on its way out."""
        socket, _ = self._running()
        if self._server(backend, server.name) is not None:
            await self._take(backend, server.name)
        await self._removals.finish(Servers(socket), backend, server.name)
        await Servers(socket).add(self._backend(backend), server)
        self._keep(backend, server.name, server)

    async def _take(self, backend: str, name: str) -> None:
        """No request goes there any more, and it is deleted behind us when its connections have ended."""
        socket, _ = self._running()
        await Servers(socket).maintenance(backend, name)
        self._keep(backend, name, None)
        self._removals.begin(Servers(socket), backend, name)

    async def drain_server(self, backend: str, name: str) -> None:
        """No new requests but those of a sticky client; what it has goes on. Nothing when it is not there."""
        async with self._changing:
            socket, _ = self._running()
            if self._server(backend, name) is not None:
                await Servers(socket).drain(backend, name)
                self._keep_draining(self._record.draining | {(backend, name)})
                self._write_soon()

    async def restore_server(self, backend: str, name: str) -> None:
        """Take a drain back."""
        async with self._changing:
            socket, _ = self._running()
            if self._server(backend, name) is not None:
                await Servers(socket).ready(backend, name)
                self._keep_draining(self._record.draining - {(backend, name)})
                self._write_soon()

    async def set_weight(self, backend: str, name: str, weight: int) -> None:
        """0 to 256, effective at once. Nothing when the server is not there."""
        async with self._changing:
            socket, _ = self._running()
            server = self._server(backend, name)
            if server is not None and server.weight != weight:
                await Servers(socket).set_weight(backend, name, weight)
                self._keep(backend, name, replace(server, weight=weight))
                self._write_soon()

    async def fail_server(self, backend: str, name: str) -> None:
        """Its process is dead: no request goes there any more. What it had ended with it, and is answered or retried
        by what HAProxy sees of that. Nothing when it is not there."""
        async with self._changing:
            if self._server(backend, name) is not None:
                await self._take(backend, name)
                self._write_soon()

    async def remove_server(self, backend: str, name: str, within: float = 1.0) -> None:
        """Take it out. When this returns no request goes there and no file names the address, and what it had has
        ended, or goes on after `within` seconds of waiting: end the process, and its clients get their 502. Nothing
        when it is not there."""
        async with self._changing:
            if self._server(backend, name) is not None:
                await self._take(backend, name)
            self._write_now()
        await self._removals.wait(backend, name, within)

    # what is seen

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def statistics(self) -> tuple[BackendStatistics, ...]:
        """HAProxy's counters; sessions include those that processes since succeeded still have."""
        socket, _ = self._running()
        found = statistics.with_held(
            statistics.parse(await socket.ask(statistics.COMMAND)), await socket.ask(statistics.HELD_COMMAND)
        )
        places = {
            (item.name, server.name): (server.address, server.port)
            for item in self._record.configuration.backends
            for server in item.servers
        }
        return statistics.with_sessions(found, self._predecessors.sessions(places))

    async def route_statistics(self) -> tuple[RouteStatistics, ...]:
        """What each route was asked, those that are gone too for as long as HAProxy remembers them."""
        return self._counts.with_before(await self._counted())

    async def _counted(self) -> tuple[RouteStatistics, ...]:
        socket, _ = self._running()
        answers = [await socket.ask(each) for each in route_statistics.commands(self._record.configuration)]
        return tuple(item for answer in answers for item in route_statistics.parse(answer))

    async def sessions(self, backend: str, name: str) -> int | None:
        """Requests and connections the server has now; None when it is not there."""
        found = await self._find(backend, name)
        return found.sessions if found is not None else None

    async def table(self, name: str) -> str:
        """All entries of a stick table, as HAProxy shows them."""
        socket, _ = self._running()
        return await socket.ask(f"show table {name}")

    async def spent_budgets(self) -> dict[str, str]:
        """Services whose retry budget is spent: repeats of requests, as "90 of 400"."""
        socket, _ = self._running()
        if not budgets(self._record.configuration):
            return {}
        return spent_budgets(await socket.ask(f"show map {SPENT}"))

    def configuration_text(self) -> str:
        """haproxy.cfg as it is now."""
        _, generation = self._running()
        return render(self._record.configuration, generation.settings, self._record.draining).text

    async def _find(self, backend: str, name: str) -> ServerStatistics | None:
        for item in await self.statistics():
            if item.name == backend:
                return next((server for server in item.servers if server.name == name), None)
        return None

    # generations

    def _number_of(self, process: str) -> int | None:
        return number_of(process) if replica_of(process) == self.replica else None

    def _generation_of(self, number: int) -> Generation:
        return Generation.of(number, self._paths, self._user, self.replica)

    async def _adopt(self) -> bool:
        """Take over the newest edge process that answers; the others are on their way out."""
        processes = await self._supervisor.processes()
        numbers = {
            number: process for name, process in processes.items() if (number := self._number_of(name)) is not None
        }
        for number in sorted(numbers, reverse=True):
            process = numbers[number]
            if process.exit is not None:
                await self._forget(process.spec.name)
            elif self._generation is not None or not await self._adopted(number, process):
                self._predecessors.add(process.pid)
        return self._generation is not None

    async def _adopted(self, number: int, process: Process) -> bool:
        generation = self._generation_of(number)
        socket = RuntimeSocket(generation.settings.socket)
        try:
            found = live.parse(await socket.ask(live.COMMAND))
        except EngineFailed:
            return False
        if process.spec.replaces is not None:
            await self._supervisor.confirm(process.spec.name)
        self._install(generation, process)
        self._record = found.record(generation.record() or Record())
        self.restarts = process.restarts
        return True

    async def _begin(self, configuration: EdgeConfiguration) -> Applied:
        async with self._changing:
            await self._succeed(self._record_of(configuration))
        return Applied(How.SUCCESSION, "no edge was running")

    async def _succeed(self, wanted: Record) -> None:
        """Start a process with the wanted configuration in place of the present one, if there is one."""
        await self._removals.stop()
        before, present = self._generation, self._process
        known = [*numbers_on_disk(self._paths, self.replica), before.number if before else 0]
        generation = self._generation_of(max(known) + 1)
        generation.create(await self._state_of_servers())
        self._write_files(generation, wanted)
        sockets = tuple(listener.socket for listener in wanted.configuration.listeners)
        try:
            counted = await self._counted_last() if present is not None else ()
            process = await self._starter.start(generation, sockets, present)
        except EngineFailed:
            generation.delete()
            raise
        self._counts.keep(counted)
        self._install(generation, process)
        self._record = wanted
        generation.forget_state()
        if present is not None:
            self._predecessors.add(present.pid)
        if before is not None:
            before.delete()

    async def _counted_last(self) -> tuple[RouteStatistics, ...]:
        """What the process that is succeeded had counted; one that an older cloudlet configured counts nothing."""
        try:
            return await self._counted()
        except EngineFailed:
            return ()

    async def _state_of_servers(self) -> str:
        if self._process is None or self._socket is None:
            return ""
        return await self._socket.ask(live.COMMAND)

    def _install(self, generation: Generation, process: Process) -> None:
        self._generation, self._process = generation, process
        self._socket = RuntimeSocket(generation.settings.socket)

    def _running(self) -> tuple[RuntimeSocket, Generation]:
        if self._socket is None or self._generation is None:
            raise Refused("the edge is not running; start it first")
        return self._socket, self._generation

    # what differs

    def _record_of(self, configuration: EdgeConfiguration, out: Collection[tuple[str, str]] = ()) -> Record:
        """The record of what is wanted, with the present servers that drain."""
        kept = live.with_draining(configuration, self._record)
        named = {(b.name, s.name) for b in kept.backends for s in b.servers}
        wanted = {(b.name, s.name) for b in configuration.backends for s in b.servers} - set(out)
        return Record(kept, (self._record.draining & named) - wanted, loaded(configuration), __version__)

    def _difference(self, wanted: Record) -> Difference:
        steps = difference(self._record.configuration, wanted.configuration)
        if self._record.version != wanted.version:
            steps = replace(steps, beyond=(*steps.beyond, f"it was started by cloudlet {self._record.version or '?'}"))
        changed = exchanged(self._record.certificates, wanted.certificates)
        if changed is None:
            return replace(steps, beyond=(*steps.beyond, "a certificate changed"))
        return replace(steps, certificates=changed)

    async def _exchange_certificates(self, wanted: Record, steps: Difference) -> Difference:
        """Over the socket; where HAProxy refuses one there, its successor reads them all."""
        socket, _ = self._running()
        try:
            await exchange(socket, self._record.certificates, wanted.certificates)
        except EngineFailed as error:
            return replace(steps, beyond=(f"a certificate could not be exchanged: {error}",))
        self._record = replace(self._record, certificates=wanted.certificates)
        return steps

    async def _carry_out(self, wanted: Record, steps: Difference) -> None:
        """Do over the socket what can be done there; a step that failed is found again by the next `apply`."""
        socket, _ = self._running()
        servers = Servers(socket)
        for placed in steps.removed:
            await self._take(placed.backend, placed.server.name)
        for placed in steps.added:
            await self._put(placed.backend, placed.server)
        for placed in steps.reweighted:
            await servers.set_weight(placed.backend, placed.server.name, placed.server.weight)
        for backend, name in self._record.draining - wanted.draining:
            if self._server(backend, name) is not None:
                await servers.ready(backend, name)
        for file, entries in exchanges(self._record.configuration, steps.maps):
            await socket.replace_map(file, entries)
        self._record = wanted
        self._write_now()

    # the present record

    def _backend(self, name: str) -> Backend:
        for backend in self._record.configuration.backends:
            if backend.name == name:
                return backend
        raise EngineFailed(f"the edge has no backend {name} yet; apply the configuration that names it first")

    def _server(self, backend: str, name: str) -> Server | None:
        return next((server for server in self._backend(backend).servers if server.name == name), None)

    def _keep(self, backend: str, name: str, server: Server | None) -> None:
        """Record that the backend has this server under that name, or none."""
        configuration = live.with_server(self._record.configuration, backend, name, server)
        draining = self._record.draining - {(backend, name)}
        self._record = replace(self._record, configuration=configuration, draining=draining)

    def _keep_draining(self, draining: frozenset[tuple[str, str]]) -> None:
        self._record = replace(self._record, draining=draining)

    # files

    def _write_soon(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_later())

    async def _write_later(self) -> None:
        await asyncio.sleep(_WRITE_AFTER)
        if self.running:  # it may be retired meanwhile
            self._write_now()

    def _write_now(self) -> None:
        _, generation = self._running()
        self._write_files(generation, self._record)

    def _write_files(self, generation: Generation, record: Record) -> None:
        generation.write(render(record.configuration, generation.settings, record.draining), record)
