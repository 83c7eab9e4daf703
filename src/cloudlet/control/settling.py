"""Brings edge, forwarders, engines and held sockets to what is wanted, and nothing more.

Invariant: what changes after a settling has begun is settled once more. A settling that failed is made again by a later
turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.contracts.process import Supervisor
from cloudlet.control import sockets
from cloudlet.control.engines import Engines
from cloudlet.control.forwarders import Datagrams, Forwarders
from cloudlet.edge.group import EdgeGroup

#: seconds between two attempts, when the first one failed
_AGAIN = 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """`out` are the (service, instance) that passive checks keep from traffic, `engines` those that may run."""

    edge: EdgeConfiguration
    out: Collection[tuple[str, str]]
    held: sockets.Held
    engines: Collection[str]


class Settling:
    """`wanted` is asked when a settling begins. Whoever changes what is wanted, or settles, holds `changing`."""

    def __init__(
        self,
        edge: EdgeGroup,
        forwarders: Forwarders,
        engines: Engines,
        supervisor: Supervisor,
        wanted: Callable[[], Wanted],
        step: Callable[[str], None],
    ) -> None:
        self._edge, self._forwarders, self._engines, self._supervisor = edge, forwarders, engines, supervisor
        self._wanted, self._step = wanted, step
        self._settled, self._tried = True, 0.0
        self.changing = asyncio.Lock()

    def unsettle(self) -> None:
        """What is wanted has changed: the next turn settles it, unless that is done before."""
        self._settled, self._tried = False, 0.0

    async def again(self, now: float) -> None:
        """Settle what is not settled; nothing while somebody else changes it, or just after an attempt."""
        if not self._settled and now - self._tried >= _AGAIN and not self.changing.locked():
            self._tried = now
            async with self.changing:
                await self.settle()

    async def settle(self) -> None:
        self._settled, wanted = True, self._wanted()
        try:
            await self._bring_to(wanted)
        except BaseException:
            self._settled = False
            raise

    async def _bring_to(self, wanted: Wanted) -> None:
        await self._edge.apply(wanted.edge, wanted.out)
        self._step("edge settled")
        await self._forwarders.apply(
            {r.listener: Datagrams(r.backend, held) for r, held in wanted.held if r.datagram and r.backend}
        )
        for resource in set(self._engines.runs) - set(wanted.engines):
            self._engines.stop(resource)
        await sockets.release_unused(self._supervisor, {held.name for _, held in wanted.held})
