"""The control loop: one turn looks at everything and does what is next; an event or the clock starts the next turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from cloudlet.control.desired import Desired
from cloudlet.control.instances import Instances
from cloudlet.control.journal import Journal
from cloudlet.control.store import Instance
from cloudlet.control.tasks import bug
from cloudlet.errors import CloudletError
from cloudlet.policy.lifecycle import InstanceView, Phase, ServiceView, decide

#: seconds between two turns when nothing happens, and while something drains or waits
_TICK = 1.0
_BUSY_TICK = 0.05
#: actions for one service in one turn: what is wanted may change before the rest
_AT_ONCE = 20


class Loop:
    """Turns until closed.

    `sessions` gives the requests an instance still has, None when that can't be known; `blocked` why a service may
    start nothing; `forgotten` is called when a leaving service has gone, `settle` and `measure` in each turn.
    """

    def __init__(
        self,
        desired: Desired,
        instances: Instances,
        journal: Journal,
        *,
        sessions: Callable[[Instance], Awaitable[int | None]],
        blocked: Callable[[str], str],
        forgotten: Callable[[], None],
        settle: Callable[[float], Awaitable[None]],
        measure: Callable[[float], Awaitable[None]],
    ) -> None:
        self._desired, self._instances, self._journal = desired, instances, journal
        self._sessions, self._blocked = sessions, blocked
        self._forgotten, self._settle, self._measure = forgotten, settle, measure
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Begin the next turn now."""
        self._woken.set()

    async def run(self) -> None:
        """Turn for ever; one that fails is said and made again."""
        while True:
            self._woken.clear()
            try:
                await self.turn(time.time())
            except CloudletError as error:
                self._journal.warning("cloudlet", "a turn of the loop failed", f"{error}; it is made again")
            except Exception as error:
                # a bug in one turn must not end the loop, which keeps everything else running
                self._journal.error("cloudlet", "a bug in a turn of the loop", bug(error))
            await self._rest()

    async def _rest(self) -> None:
        busy = any(i.phase in (Phase.DRAINING, Phase.BACKOFF) for i in self._instances.records.values())
        try:
            async with asyncio.timeout(_BUSY_TICK if busy else _TICK):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def turn(self, now: float) -> None:
        """Look at every service once and carry out what its policy says."""
        await self._instances.announce_answered()
        for name in self._desired.services():
            actions = decide(await self._view(name), now)
            for action in actions[:_AT_ONCE]:
                await self._instances.act(name, action)
            if len(actions) > _AT_ONCE:
                self.wake()
        self._forget_gone()
        await self._settle(now)
        await self._measure(now)

    async def _view(self, name: str) -> ServiceView:
        service = self._desired.service(name)
        return ServiceView(
            name=name,
            wanted=self._desired.wanted(name),
            revision=self._instances.revision(name),
            instances=tuple([await self._instance_view(i) for i in self._instances.of(name)]),
            max_surge=service.deployment.max_surge,
            max_unavailable=service.deployment.max_unavailable,
            drain=service.stop.drain,
            start_within=service.health.start_within,
            blocked=self._blocked(name),
        )

    async def _instance_view(self, instance: Instance) -> InstanceView:
        draining = instance.phase is Phase.DRAINING
        return InstanceView(
            name=instance.name,
            ordinal=instance.ordinal,
            revision=instance.revision,
            phase=instance.phase,
            since=instance.since,
            sessions=await self._sessions(instance) if draining else None,
            resume_at=instance.resume_at,
            replace=instance.replace,
        )

    def _forget_gone(self) -> None:
        gone = [name for name in self._desired.leaving if not self._instances.of(name)]
        for name in gone:
            self._desired.forget(name)
        if gone:
            self._forgotten()
