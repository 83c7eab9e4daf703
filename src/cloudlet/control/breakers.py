"""Tells of circuit breakers and retry budgets: HAProxy decides by itself, this only looks each second and journals what
has changed. With several replicas each has a breaker of its own, and is named."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from cloudlet.control.journal import Journal
from cloudlet.edge.breakers import BreakerState
from cloudlet.edge.group import EdgeGroup
from cloudlet.errors import EngineFailed
from cloudlet.stack import Service

#: seconds between two looks
_EVERY = 1.0
Key = tuple[str, str]


class Breakers:
    """Remembers what was seen last, by service and replica."""

    def __init__(self, edge: EdgeGroup, journal: Journal) -> None:
        self._edge, self._journal = edge, journal
        self._seen: dict[Key, BreakerState] = {}
        self._spent: set[Key] = set()
        self._looked = 0.0

    def state(self, service: str, now: float) -> str:
        """closed, half-open or open (the worst of the replicas), empty for a service without a breaker."""
        states = [state for (name, _), state in self._seen.items() if name == service]
        if not states:
            return ""
        named = [_phase(state, now) for state in states]
        return next(phase for phase in ("open", "half-open", "closed") if phase in named)

    def warnings(self, now: float) -> list[str]:
        """What status shows."""
        lines = []
        for (service, replica), state in self._seen.items():
            if state.until is not None:
                left = max(0.0, state.until - now)
                lines.append(
                    f"{service}: its breaker is {_phase(state, now)}{_at(replica)}, tried again in {left:.0f} s"
                )
        lines += [f"{service}: its retry budget is spent{_at(replica)}" for service, replica in sorted(self._spent)]
        return lines

    async def look(self, services: Mapping[str, Service], now: float) -> None:
        """Look at all of them, at most once a second."""
        if now - self._looked < _EVERY:
            return
        self._looked = now
        with contextlib.suppress(EngineFailed):  # the edge is just being restarted, or does not know one yet
            await self._look(services)

    async def _look(self, services: Mapping[str, Service]) -> None:
        guarded = [name for name, service in services.items() if service.breaker and service.protocol != "tcp"]
        found = await self._edge.breakers(guarded)
        for key, state in found.items():
            for level, event, because in told(self._seen.get(key, BreakerState()), state):
                write = self._journal.warning if level == "warning" else self._journal.info
                write(key[0], event, f"{because}{_at(key[1])}")
        self._seen = found
        self._tell_budgets(await self._edge.spent_budgets())

    def _tell_budgets(self, spent: Mapping[Key, str]) -> None:
        for key in spent.keys() - self._spent:
            because = f"{spent[key]} requests of the last ten seconds were repeats{_at(key[1])}"
            self._journal.warning(key[0], "retry budget spent: no repeats", because)
        for service, replica in self._spent - spent.keys():
            because = f"they are within the budget{_at(replica)}"
            self._journal.info(service, "repeats are made again", because)
        self._spent = set(spent)


def told(before: BreakerState, now: BreakerState) -> Iterable[tuple[str, str, str]]:
    """(level, event, reason) of what has happened between two looks, in the order in which it must have. Pure."""
    if (now.opened, now.trials, now.closed) < (before.opened, before.trials, before.closed):
        before = BreakerState()  # another process
    closes, opens = now.closed > before.closed, now.opened > before.opened
    trials = now.trials - before.trials
    opened = ("warning", "breaker opened", f"{now.failed} of {now.answers} answers failed")
    if opens and before.until is None:
        yield opened
        opens = False
    if trials:
        yield "info", "breaker half-open", "one request at a time tries the service"
    failed = trials + before.trial - now.trial - closes
    if failed > 0:
        yield "warning", "breaker opened again", f"{failed} trial{'s' if failed > 1 else ''} failed"
    if closes:
        yield "info", "breaker closed", "a trial succeeded"
    if opens:
        yield opened


def _phase(state: BreakerState, now: float) -> str:
    if state.until is None:
        return "closed"
    return "half-open" if state.trial or now >= state.until else "open"


def _at(replica: str) -> str:
    return f" ({replica})" if replica else ""
