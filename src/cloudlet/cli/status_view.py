"""A stack's status as tables."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cloudlet.cli import amounts
from cloudlet.cli.printing import STYLES, Column, build
from cloudlet.control.views import EngineStatus, InstanceStatus, ServiceStatus, StackStatus

if TYPE_CHECKING:
    from rich.console import RenderableType

_SERVICES = (
    Column("SERVICE"),
    Column("STATE"),
    Column("READY", right=True),
    Column("REQ/S", 1, right=True),
    Column("TIME", 2, right=True),
    Column("5XX", 3, right=True),
    Column("ACTIVE", 4, right=True),
    Column("QUEUED", 5, right=True),
    Column("REQUESTS", 6, right=True),
    Column("WANTED BY", 7),
    Column("VERSION", 8),
    Column("BALANCE", 9),
)
_INSTANCES = (
    Column("INSTANCE"),
    Column("PHASE"),
    Column("PORT", 3, right=True),
    Column("PID", 1, right=True),
    Column("FOR", 2, right=True),
    Column("RESTARTS", 5, right=True),
    Column("ACTIVE", 8, right=True),
    Column("REQUESTS", 7, right=True),
    Column("TIME", 6, right=True),
    Column("WEIGHT", 11, right=True),
    Column("CPU", 9, right=True),
    Column("MEMORY", 10, right=True),
    Column("BECAUSE", 1, flexible=True),
)
_ENGINES = (
    Column("ENGINE"),
    Column("STATE"),
    Column("KIND", 2),
    Column("VERSION", 4),
    Column("PID", 5, right=True),
    Column("RESTARTS", 3, right=True),
    Column("CPU", 6, right=True),
    Column("MEMORY", 7, right=True),
    Column("BECAUSE", 1, flexible=True),
)


def render(status: StackStatus, width: int, *, hidden: bool) -> Iterator[RenderableType]:
    """What to print, in order; `hidden` shows cloudlet's own services too."""
    from rich.text import Text

    now = time.time()
    services = [service for service in status.services if hidden or not service.hidden]
    yield Text.assemble(
        (status.name, "bold"),
        ": ",
        (status.state, STYLES.get(status.state, "")),
        f" because {status.because}" if status.state != "healthy" and status.because else "",
        f", up {amounts.age(now - status.started)}",
    )
    yield Text(f"  cloudlet: process {status.pid}")
    for address in status.addresses:
        yield Text(f"  {address.name}: {address.url}")
    for columns, rows in (
        (_SERVICES, [_service(service) for service in services]),
        (_INSTANCES, [_instance(i, now) for service in services for i in service.instances]),
        (_ENGINES, [_engine(engine) for engine in status.engines]),
    ):
        if rows:
            yield Text()
            yield build(columns, rows, width)
    if status.warnings:
        yield Text()
    for warning in status.warnings:
        yield Text(f"warning: {warning}", style="yellow")


def _service(service: ServiceStatus) -> Sequence[str]:
    return (
        service.name,
        service.state,
        f"{service.ready}/{service.wanted}",
        _some(service.rate),
        amounts.latency(service.response_time),
        _some(service.errors_5xx),
        _some(service.sessions),
        _some(service.queued),
        _some(service.requests),
        service.wanted_by if service.wanted_by != "file" else "",
        service.version,
        service.balance,
    )


def _instance(instance: InstanceStatus, now: float) -> Sequence[str]:
    return (
        instance.name,
        instance.phase,
        str(instance.port),
        str(instance.pid or "-"),
        amounts.age(now - instance.since),
        _some(instance.restarts),
        _some(instance.sessions),
        _some(instance.requests),
        amounts.latency(instance.response_time),
        _some(instance.weight),
        amounts.share(instance.cpu),
        amounts.size(instance.memory),
        instance.because,
    )


def _engine(engine: EngineStatus) -> Sequence[str]:
    return (
        engine.name,
        engine.state,
        engine.kind,
        engine.version,
        str(engine.pid or "-"),
        _some(engine.restarts),
        amounts.share(engine.cpu),
        amounts.size(engine.memory),
        engine.because if engine.state != "ready" else "",
    )


def _some(number: int) -> str:
    return amounts.count(number) if number else "-"
