"""What one service's instances do next: started, replaced, drained, stopped.

Invariants, held by tests/policy/test_lifecycle.py over every interleaving that Hypothesis finds:
- at most `wanted + max_surge` instances are alive (neither draining nor stopping) at any time;
- an instance that serves is retired only while at least `wanted - max_unavailable` others serve;
- an instance is stopped only after its drain: no session is left on it, or its drain time is over;
- repeated on its own result, with healthy instances, it comes to rest: `wanted` of the wanted revision serve.

A phase moves on by what is observed (a process that ends, a probe that succeeds) or by an action that this plan asks
for; whoever acts records the phase first, so a plan interrupted anywhere is simply made again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where an instance is in its life. The first three are alive, the last two are on their way out."""

    STARTING = "starting"
    SERVING = "serving"
    BACKOFF = "backoff"
    DRAINING = "draining"
    STOPPING = "stopping"


ALIVE = frozenset({Phase.STARTING, Phase.SERVING, Phase.BACKOFF})


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One instance as it is seen now. Times are seconds on one clock; `sessions` None means unknown.

    `replace` asks for a fresh instance in its place (`cloudlet restart`); `resume_at` ends a backoff.
    """

    name: str
    ordinal: int
    revision: str
    phase: Phase
    since: float
    sessions: int | None = None
    resume_at: float = 0.0
    replace: bool = False


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service: how many of which revision are wanted, under which limits, and what is there.

    `blocked` is the reason why nothing may be started yet (an engine it uses is not ready), or empty.
    """

    name: str
    wanted: int
    revision: str
    instances: tuple[InstanceView, ...]
    max_surge: int = 1
    max_unavailable: int = 0
    drain: float = 30.0
    start_within: float = 60.0
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a new instance in this slot."""

    name: str
    ordinal: int
    because: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Start the process of an instance in backoff again, as the wanted revision."""

    name: str
    because: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Kill a process that did not become healthy in time; it goes into backoff."""

    name: str
    because: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Give it no new requests, and wait for those it has."""

    name: str
    because: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End its process."""

    name: str
    because: str


Action = Start | Resume | GiveUp | Retire | Stop


def decide(view: ServiceView, now: float) -> tuple[Action, ...]:
    """The next actions, in the order in which they are safe; empty when the service is as it should be."""
    alive = [instance for instance in view.instances if instance.phase in ALIVE]
    old = [instance for instance in alive if _is_old(view, instance)]
    current = [instance for instance in alive if not _is_old(view, instance)]
    return (
        *_finish_drains(view, now),
        *_give_up(view, current, now),
        *_retire_surplus(view, current),
        *_retire_old(view, old, current),
        *_resume(view, current, now),
        *_start(view, alive, current),
    )


def _is_old(view: ServiceView, instance: InstanceView) -> bool:
    # one in backoff has no process: it starts again as the wanted revision anyhow
    return instance.phase is not Phase.BACKOFF and (instance.replace or instance.revision != view.revision)


def _finish_drains(view: ServiceView, now: float) -> Iterable[Action]:
    for instance in view.instances:
        if instance.phase is not Phase.DRAINING:
            continue
        if instance.sessions == 0:
            yield Stop(instance.name, "it has no request left")
        elif now - instance.since >= view.drain:
            yield Stop(instance.name, f"its drain time of {view.drain:g} s is over")


def _give_up(view: ServiceView, current: list[InstanceView], now: float) -> Iterable[Action]:
    for instance in current:
        if instance.phase is Phase.STARTING and now - instance.since >= view.start_within:
            yield GiveUp(instance.name, f"it did not become healthy within {view.start_within:g} s")


def _retire_surplus(view: ServiceView, current: list[InstanceView]) -> Iterable[Action]:
    order = {Phase.BACKOFF: 0, Phase.STARTING: 1, Phase.SERVING: 2}
    leaving = sorted(current, key=lambda instance: (order[instance.phase], -instance.ordinal))
    for instance in leaving[: max(0, len(current) - view.wanted)]:
        yield Retire(instance.name, f"{view.wanted} wanted, {len(current)} there")


def _retire_old(view: ServiceView, old: list[InstanceView], current: list[InstanceView]) -> Iterable[Action]:
    staying = sum(instance.phase is Phase.SERVING for instance in current)
    serving = [instance for instance in old if instance.phase is Phase.SERVING]
    for instance in old:
        if instance.phase is not Phase.SERVING:
            yield Retire(instance.name, _why_old(view, instance))
    spare = min(staying, view.wanted) + len(serving) - (view.wanted - view.max_unavailable)
    for instance in serving[: max(0, spare)]:
        yield Retire(instance.name, _why_old(view, instance))


def _why_old(view: ServiceView, instance: InstanceView) -> str:
    if instance.revision != view.revision:
        return f"revision {view.revision} replaces {instance.revision}"
    return "a restart was asked for"


def _resume(view: ServiceView, current: list[InstanceView], now: float) -> Iterable[Action]:
    if view.blocked:
        return
    waiting = [instance for instance in current if instance.phase is Phase.BACKOFF]
    surplus = max(0, len(current) - view.wanted)
    kept = sorted(waiting, key=lambda instance: -instance.ordinal)[surplus:]
    for instance in kept:
        if now >= instance.resume_at:
            yield Resume(instance.name, "its process ended")


def _start(view: ServiceView, alive: list[InstanceView], current: list[InstanceView]) -> Iterable[Action]:
    missing = view.wanted - len(current)
    room = view.wanted + view.max_surge - len(alive)
    if view.blocked or missing <= 0:
        return
    taken = {instance.ordinal for instance in view.instances}
    free = (ordinal for ordinal in range(1, len(taken) + missing + 1) if ordinal not in taken)
    for ordinal, _ in zip(free, range(min(missing, room)), strict=False):
        yield Start(f"{view.name}-{ordinal}", ordinal, _why_start(view, alive))


def _why_start(view: ServiceView, alive: list[InstanceView]) -> str:
    if any(instance.revision != view.revision for instance in alive):
        return f"revision {view.revision} goes out"
    return f"{view.wanted} wanted, {len(alive)} there"
