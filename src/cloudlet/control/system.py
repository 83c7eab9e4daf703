"""One running stack: its parts wired together, a file applied to them, and the loop that keeps them so.

    observe (exits, HAProxy's counters, /proc) → snapshot → policy → plan → act → journal

`close` leaves everything running for the next `System` to adopt; `down` takes everything down.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from cloudlet.contracts.edge import BackendStatistics, EdgeConfiguration, RouteStatistics
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import Process, User
from cloudlet.control import sockets, static_files
from cloudlet.control.addresses import Addresses
from cloudlet.control.announcing import ServiceAnnouncer
from cloudlet.control.api_keys import ApiKeys, records_file
from cloudlet.control.audit import Audit
from cloudlet.control.breakers import Breakers
from cloudlet.control.certificates import Certificates, Served
from cloudlet.control.desired import Desired
from cloudlet.control.egress import EGRESS, Outbound, confined
from cloudlet.control.ending import drain_all, end_all
from cloudlet.control.enforcement import Enforcement
from cloudlet.control.engines import Engines
from cloudlet.control.exits import Exits
from cloudlet.control.forwarders import Forwarders
from cloudlet.control.guarding import Guarding
from cloudlet.control.instances import Instances
from cloudlet.control.journal import Journal
from cloudlet.control.launcher import ServiceLauncher
from cloudlet.control.log_files import log_files
from cloudlet.control.loop import Loop
from cloudlet.control.measuring import Measurements
from cloudlet.control.own import Own
from cloudlet.control.reach import needs
from cloudlet.control.resources import Resources
from cloudlet.control.settling import Settling, Wanted
from cloudlet.control.steering import Steering
from cloudlet.control.store import Instance, Store
from cloudlet.control.tasks import Tasks
from cloudlet.control.telemetry import Telemetry
from cloudlet.control.topology import GATEWAY, edge_configuration, is_balanced
from cloudlet.control.users import Users
from cloudlet.control.views import PlanView
from cloudlet.edge.group import EdgeGroup
from cloudlet.engines.locate import locate
from cloudlet.errors import CloudletError, Refused
from cloudlet.identity.secrets import Secrets
from cloudlet.policy.lifecycle import Phase
from cloudlet.runtime.client import KeeperClient
from cloudlet.stack import Stack

Step = Callable[[str], None]

#: seconds between two looks at the times of certificates and static answers
_LOOK_AT_FILES = 1.0


def no_step(_: str) -> None:
    """Called between the parts of what the loop does; tests interrupt there."""


class System:
    """A stack and its parts. Made by `open`; used from the event loop that made it."""

    def __init__(self, file: Path, paths: StatePaths, keeper: KeeperClient, step: Step) -> None:
        self.file, self.paths, self.keeper = file, paths, keeper
        self.pid, self.started = os.getpid(), time.time()
        self._step = step
        self.store = Store(paths.database)
        self.journal = Journal(self.store)
        self.audit = Audit(paths, self.journal)
        self.telemetry = Telemetry(self._measured, self.journal)
        self.secrets = Secrets(paths.secrets)
        self.own = Own(paths, self.secrets)
        self.outbound, self.enforcement = Outbound(paths, self.secrets), Enforcement(paths)
        self.desired = Desired(file, self.store, self.journal, self._complete)
        self.guarding = Guarding(paths, self.secrets, self.journal)
        self.keys = ApiKeys(self.store, self.journal, records_file(paths), self._gateway_user, self._tell_edge)
        self.users = Users(paths, self.store, lambda name: needs(self.desired, name))
        self.measurements = Measurements()
        # a missing HAProxy is told when a file is applied (`require_binaries`): what runs can be ended without it
        self.edge = EdgeGroup(paths, keeper, locate("haproxy").path or Path("haproxy"), self.users.of("edge"))
        self.engines = Engines(self.journal, keeper, self._wake, step)
        self.resources = Resources(paths, self.store, self.secrets, self.users)
        self.addresses = Addresses(self.desired, self.resources, self.outbound)
        self.forwarders = Forwarders(paths, keeper, self.users.of, self._serving_ports)
        self.steering = Steering(self.edge, self.journal, self.measurements)
        self.breakers = Breakers(self.edge, self.journal)
        self.instances = self._make_instances(step)
        self._exits = Exits(self.edge, self.engines, self.instances, self.journal)
        self._settling = Settling(self.edge, self.forwarders, self.engines, keeper, self._wanted, step)
        self.loop = Loop(
            self.desired,
            self.instances,
            self.journal,
            sessions=self._sessions,
            blocked=self._blocked,
            forgotten=self._settling.unsettle,
            settle=self._settling.again,
            measure=self._measure,
        )
        self.certificates = Certificates(paths, self.journal)
        self._served = Served()
        self._tasks = Tasks(self.journal)

    @classmethod
    async def open(cls, file: Path, paths: StatePaths, step: Step = no_step) -> System:
        """Connect to the stack's keeper, starting one where there is none. Nothing else happens yet."""
        keeper = await KeeperClient.connect(paths)
        try:
            return cls(file, paths, keeper, step)
        except BaseException:
            if not await keeper.processes():
                await keeper.shutdown()
            await keeper.close()
            raise

    def _make_instances(self, step: Step) -> Instances:
        announcer = ServiceAnnouncer(self.edge, self.forwarders, self.desired.service, self.steering.weights)
        used, taken = self.addresses.used, self._ports_taken
        launcher = ServiceLauncher(self.paths, self.secrets, self.desired, used, self.users.of, taken)
        return Instances(self.store, self.journal, self.keeper, launcher, announcer, self._wake, step)

    # what is asked of it

    async def begin(self, new: Stack, *, undo: bool) -> PlanView:
        """Adopt what runs of this stack, bring it to what `new` describes, and keep it so from then on.

        Raises like `apply`; a stack of which nothing ran before is then taken down again.
        """
        exits = self.keeper.exits()  # before the look at what runs: whatever ends after it is told
        processes = await self.keeper.processes()
        try:
            plan = await self._install(new, undo=undo, processes=processes)
        except CloudletError:
            if not processes:
                await self.down()
            raise
        self._tasks.keep("cloudlet", lambda: self._exits.watch(exits))
        self._tasks.keep("cloudlet", self.loop.run)
        self._tasks.keep("edge", self._watch_files)
        self._tasks.keep("identity", lambda: self.guarding.run(self._guard_changed))
        self._tasks.keep("audit", self.audit.run)
        return plan

    async def apply(self, new: Stack, *, undo: bool) -> PlanView:
        """Bring the running stack to what `new` describes.

        Raises Refused, having changed nothing, when an address is taken, when the stack is going down, or when a
        run-time change would be taken back and `undo` is false; EngineMissing when an engine has no binary.
        """
        async with self._settling.changing:
            if self.desired.going_down:
                raise Refused("the stack is going down; run `cloudlet up` again when it is down")
            plan = await self._install(new, undo=undo, processes=None)
            self.instances.try_again()
            self._wake()
            return plan

    async def _install(self, new: Stack, *, undo: bool, processes: Mapping[str, Process] | None) -> PlanView:
        plan = self.desired.plan(new)
        if plan.undoes and not undo:
            raise Refused("; ".join(plan.undoes) + "; say --yes to take it back")
        problem = self.enforcement.problem(new)
        if problem:
            raise Refused(problem)
        completed = self._complete(new)
        self.resources.require_binaries(completed)
        served = self.certificates.ensure(new, self.users.of("edge"), time.time())
        known = await self.guarding.prepare(completed)
        held = await sockets.hold(completed, self.keeper, self.store)
        self._step("addresses held")
        self.desired.accept(new)
        self._settling.unsettle()
        self._step("wish recorded")
        self.addresses.held, self._served = held, served
        self.guarding.accept(known)
        self.telemetry.apply(new)
        self.resources.load(completed, await self.keeper.processes())
        self._write_own()
        self._close_direct_way()
        if processes is not None:
            self.instances.load({name for name, process in processes.items() if process.exit is None})
            await self.edge.start(self.configuration())
            self._step("edge adopted or started")
            await self.instances.adopt(processes)
            self._step("instances adopted")
        await self._bring_engines()
        await self._settling.settle()
        return replace(plan, applied=True)

    def _complete(self, stack: Stack) -> Stack:
        return self.outbound.complete(self.own.complete(stack))

    def _close_direct_way(self) -> None:
        """Before any instance starts, and again when cloudlet adopts: the rules are the kernel's and may be gone."""
        stack = self.desired.stack
        if stack.egress is None or stack.egress.mode != "enforced":
            self.enforcement.remove()
            return
        users = [self.users.of(name) for name in confined(self.desired.services())]
        self.enforcement.apply(stack.name, [user.uid for user in users if user is not None])

    def _write_own(self) -> None:
        stack = self.desired.stack
        self.outbound.write(stack, self.users.of(EGRESS) if EGRESS in stack.services else None)
        if GATEWAY in stack.services:
            self.own.write(stack, self.addresses.held, self.addresses.store(), self.users.of(GATEWAY))
            self.keys.write()

    async def scale(self, counts: Mapping[str, int]) -> None:
        """Want these counts of instances. Raises Refused, having changed nothing, for a count the file forbids."""
        self.desired.scale(counts)
        self._wake()

    def restart(self, services: Collection[str]) -> list[str]:
        """Replace the instances of these services (all when none is named), as a deployment would."""
        unknown = [name for name in services if name not in self.desired.stack.services]
        if unknown:
            there = ", ".join(self.desired.stack.services)
            raise Refused(f"there is no service {', '.join(unknown)}; the stack has {there}")
        return self.instances.restart(services or list(self.desired.stack.services))

    async def down(self) -> int:
        """End everything: requests in flight first, then instances, then engines; how many processes that were."""
        self.desired.going_down = True
        async with self._settling.changing:
            await self._tasks.cancel()
            await self.engines.close()
            await self.instances.close()
            self.journal.info("cloudlet", "going down", "instances, edge and engines end, in this order")
            serving = [i for i in self._serving() if is_balanced(self.desired.service(i.service))]
            await drain_all(serving, self.edge)
            ended = await end_all(self.keeper, self.journal)
            self.store.clear()
            self.enforcement.remove()
        return ended

    async def close(self) -> None:
        """Stop looking after the stack; what runs goes on. A keeper with nothing left to keep ends."""
        await self._tasks.cancel()
        await self.telemetry.close()
        await self.engines.close()
        await self.instances.close()
        await self.edge.close()
        if not await self.keeper.processes():
            await self.keeper.shutdown()
            self.paths.discard_run()
        await self.keeper.close()
        self.audit.close()
        self.store.close()

    # what the parts ask

    def configuration(self) -> EdgeConfiguration:
        """What the edge is to do now."""
        return edge_configuration(
            self.desired.stack,
            self.desired.services(),
            self.instances.records.values(),
            self.resources.ports(),
            self.addresses.held,
            self._served.folder,
            self.steering.weights,
            authorities=self._served.authorities,
            guard=self.guarding.guard(self.keys.records(), self.addresses.gateway()),
            limit_store=self.resources.limit_store(),
        )

    def _gateway_user(self) -> User | None:
        return self.users.of(GATEWAY) if GATEWAY in self.desired.stack.services else None

    def _guard_changed(self) -> None:
        self._settling.unsettle()
        self._wake()

    async def _tell_edge(self) -> None:
        """What was recorded counts when this returns; where it fails, the next turn of the loop makes it so."""
        self._settling.unsettle()
        async with self._settling.changing:
            await self._settling.settle()

    async def statistics(self) -> tuple[BackendStatistics, ...]:
        return await self.edge.statistics()

    async def route_statistics(self) -> tuple[RouteStatistics, ...]:
        return await self.edge.route_statistics()

    async def _measured(self) -> tuple[tuple[BackendStatistics, ...], tuple[RouteStatistics, ...]]:
        return await self.statistics(), await self.route_statistics()

    def logs(self, services: Collection[str], instances: Collection[str]) -> dict[str, Path]:
        """As `log_files`."""
        return log_files(self.paths, self.instances.records, self.desired.services(), services, instances)

    def _wake(self) -> None:
        self.loop.wake()

    def _serving(self) -> list[Instance]:
        return [i for i in self.instances.records.values() if i.phase is Phase.SERVING]

    def _serving_ports(self, service: str) -> dict[str, int]:
        return {i.name: i.port for i in self.instances.of(service) if i.phase is Phase.SERVING}

    def _ports_taken(self) -> set[int]:
        return {i.port for i in self.instances.records.values()} | set(self.store.ports().values())

    def _blocked(self, name: str) -> str:
        uses = self.desired.service(name).uses
        missing = [used for used in uses if used in self.engines.runs and not self.engines.ready(used)]
        return f"waiting for {', '.join(missing)}" if missing else ""

    async def _sessions(self, instance: Instance) -> int | None:
        if not is_balanced(self.desired.service(instance.service)):
            return 0
        return await self.edge.sessions(instance.service, instance.name) or 0

    async def _measure(self, now: float) -> None:
        self.measurements.look(self._pids(), now)
        await self.steering.steer(self.desired.services(), self._serving(), now)
        await self.breakers.look(self.desired.services(), now)

    def _pids(self) -> dict[str, int]:
        pids: dict[str, int | None] = {name: i.pid for name, i in self.instances.records.items()}
        pids |= {run.engine.name: run.pid for run in self.engines.runs.values()}
        pids |= self.edge.pids
        return {name: pid for name, pid in pids.items() if pid is not None}

    async def _bring_engines(self) -> None:
        found = await self.keeper.processes()
        for resource, run in self.resources.runs.items():
            users = self.resources.users(self.desired.stack, resource)
            known = self.engines.runs.get(resource)
            if known is not None and known is not run:
                self.engines.replace(run, users)
            elif known is None:
                self.engines.begin(run, users, found)
            elif known.admitted != set(users):
                self.engines.admit(resource, users)

    def _wanted(self) -> Wanted:
        """While a service leaves, what it uses runs on."""
        engines = {*self.resources.runs, *(self.engines.runs if self.desired.leaving else ())}
        return Wanted(self.configuration(), self.steering.out(), self.addresses.held, engines)

    async def _watch_files(self) -> None:
        """Files of static answers, and certificates: renewed, added and removed ones count within seconds, and
        cloudlet's own are renewed well before they expire; HAProxy takes them over its socket."""
        while True:
            await asyncio.sleep(_LOOK_AT_FILES)
            if self._look_at_certificates() or static_files.changed(self.desired.stack):
                self._settling.unsettle()
                self._wake()

    def _look_at_certificates(self) -> bool:
        """Whether anything has changed."""
        try:
            served = self.certificates.look(self.desired.stack, self.users.of("edge"), time.time())
        except (CloudletError, OSError) as error:
            self.journal.error("edge", "certificates not renewed", f"{error}; tried again")
            return False
        self._served = served or self._served
        return served is not None
