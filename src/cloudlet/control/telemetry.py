"""Metrics pushed as the file says (`observe.metrics`); a changed file begins anew, counting from the same start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from cloudlet.contracts.edge import BackendStatistics, RouteStatistics
from cloudlet.control.journal import Journal
from cloudlet.stack import Stack
from cloudlet.stack.observe import Metrics

Measure = Callable[[], Awaitable[tuple[tuple[BackendStatistics, ...], tuple[RouteStatistics, ...]]]]


class Telemetry:
    """`apply` with every stack that is accepted; `close` at the end."""

    def __init__(self, measure: Measure, journal: Journal) -> None:
        self._measure, self._journal = measure, journal
        self._started = time.time()
        self._wanted: tuple[str, Metrics] | None = None
        self._task: asyncio.Task[None] | None = None

    def apply(self, stack: Stack) -> None:
        metrics = stack.observe.metrics
        wanted = (stack.name, metrics) if metrics else None
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._push(*wanted)) if wanted else None

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._task, self._wanted = None, None

    async def _push(self, stack: str, metrics: Metrics) -> None:
        # an extra, and a third of a second to import: only who asks for it has it
        from cloudlet.observe.otlp import OtlpPush  # noqa: PLC0415

        def told(wrong: str) -> None:
            if wrong:
                self._journal.warning("metrics", "not pushed", f"{metrics.otlp}: {wrong}; it is tried again")
            else:
                self._journal.info("metrics", "pushed again", f"{metrics.otlp} takes them")

        await OtlpPush(metrics.otlp, metrics.every, stack, self._measure, told, self._started).run()
