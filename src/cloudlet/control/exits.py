"""Whose end a process's was: the edge's, an engine's or an instance's."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cloudlet.contracts.process import Exit
from cloudlet.control.engines import Engines
from cloudlet.control.forwarders import is_forwarder
from cloudlet.control.instances import Instances
from cloudlet.control.journal import Journal
from cloudlet.edge.group import EdgeGroup


class Exits:
    def __init__(self, edge: EdgeGroup, engines: Engines, instances: Instances, journal: Journal) -> None:
        self._edge, self._engines, self._instances, self._journal = edge, engines, instances, journal

    async def watch(self, exits: AsyncIterator[Exit]) -> None:
        async for end in exits:
            try:
                await self._exited(end)
            except Exception as error:  # a bug over one process must not blind us to all others
                what = f"{end}; {type(error).__name__}: {error}"
                self._journal.error(end.name, "its end was not dealt with", what)

    async def _exited(self, end: Exit) -> None:
        if await self._edge.exited(end):
            self._journal.warning(end.name, "edge process ended", str(end))
        elif not self._engines.exited(end) and not is_forwarder(end.name):
            await self._instances.exited(end)
