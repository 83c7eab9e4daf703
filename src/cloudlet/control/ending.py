"""The end of a stack: instances, which still need the edge to reach one another, then the edge, then engines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

from cloudlet.contracts.process import Process
from cloudlet.control.instances import SERVICE_LABEL
from cloudlet.control.journal import Journal
from cloudlet.control.store import Instance
from cloudlet.edge.generation import number_of
from cloudlet.edge.group import EdgeGroup
from cloudlet.errors import CloudletError
from cloudlet.runtime.client import KeeperClient

#: seconds that requests in flight are given
_DRAIN = 10.0
_PAUSE = 0.02
#: seconds for answers under way to leave; connections that clients keep open would last for half a minute
_EDGE_GRACE = 0.5


async def drain_all(instances: Collection[Instance], edge: EdgeGroup) -> None:
    """Let each of these, which the edge balances, finish what it has."""
    with contextlib.suppress(CloudletError, TimeoutError):
        for instance in instances:
            await edge.drain_server(instance.service, instance.name)
        async with asyncio.timeout(_DRAIN):
            while any([await edge.sessions(instance.service, instance.name) for instance in instances]):
                await asyncio.sleep(_PAUSE)


async def end_all(keeper: KeeperClient, journal: Journal) -> int:
    """End every process of the stack and let every socket go; how many processes ran."""
    processes = await keeper.processes()
    running = {name: process for name, process in processes.items() if process.exit is None}
    edge = {name for name in running if number_of(name) is not None}
    instances = {name for name, process in running.items() if _is_service(process)}
    for title, names, grace in (
        ("instances stop", instances, None),
        ("the edge stops", edge, _EDGE_GRACE),
        ("engines stop", set(running) - edge - instances, None),
    ):
        if names:
            journal.info("cloudlet", "going down", f"{title}: {', '.join(sorted(names))}")
        await _end(keeper, names, grace)
    for name in await keeper.processes():
        await keeper.forget(name)
    for name in await keeper.sockets():
        await keeper.release(name)
    return len(running)


def _is_service(process: Process) -> bool:
    name = process.spec.name
    return SERVICE_LABEL in process.spec.labels or name.startswith("cloudlet-")


async def _end(keeper: KeeperClient, names: Collection[str], grace: float | None) -> None:
    for name in names:
        await keeper.stop(name, grace)
    while True:
        processes = await keeper.processes()
        if all(processes[name].exit is not None for name in names if name in processes):
            return
        await asyncio.sleep(_PAUSE)
