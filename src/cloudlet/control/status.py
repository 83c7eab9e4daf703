"""What the stack looks like from outside, put together from the parts for the API."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from cloudlet.contracts.edge import BackendStatistics, ServerState, ServerStatistics
from cloudlet.control import egress
from cloudlet.control.engines import EngineRun
from cloudlet.control.measuring import Usage
from cloudlet.control.store import Instance
from cloudlet.control.system import System
from cloudlet.control.views import AddressStatus, EngineStatus, InstanceStatus, ServiceStatus, StackStatus
from cloudlet.engines.locate import locate
from cloudlet.errors import CloudletError
from cloudlet.policy.backoff import crash_looping
from cloudlet.policy.lifecycle import Phase
from cloudlet.stack import OWN_PREFIX, Service

_UNHEALTHY = "unhealthy"
#: seconds after which it is worth a word that a process does not answer yet
_SOON = 3.0
#: what the edge knows of a service's instances, by name; None where it balances nothing of it or cannot say
Servers = Mapping[str, ServerStatistics] | None


async def stack_status(system: System) -> StackStatus:
    """The whole stack now."""
    try:
        statistics = {backend.name: backend for backend in await system.statistics()}
    except CloudletError:
        statistics = {}  # the edge is just being restarted; everything else is still worth telling
    usage = system.measurements.usage
    now = time.time()
    services = [
        _service(system, name, service, statistics.get(name), usage, now)
        for name, service in system.desired.services().items()
    ]
    engines = [*_edges(system, usage), *(_engine(run, usage) for run in system.engines.runs.values())]
    state, because = _state(system.desired.going_down, services, engines)
    return StackStatus(
        name=system.desired.stack.name,
        file=str(system.file),
        state=state,
        because=because,
        pid=system.pid,
        started=system.started,
        addresses=_addresses(system),
        services=services,
        engines=engines,
        warnings=[
            *system.users.warnings(),
            *egress.warnings(system.desired.stack),
            *system.breakers.warnings(now),
            *system.certificates.warnings(),
            *_limits(system),
        ],
    )


def _state(going_down: bool, services: Iterable[ServiceStatus], engines: Iterable[EngineStatus]) -> tuple[str, str]:
    if going_down:
        return "stopping", "it was asked to go down"
    sick = [s for s in services if s.state in ("degraded", "crash-looping")]
    failed = [e for e in engines if e.state == "failed"]
    if sick or failed:
        reasons = [f"{s.name}: {s.ready} of {s.wanted} serve" for s in sick]
        return "degraded", "; ".join(reasons + [f"{e.name}: {e.because}" for e in failed])
    waiting = [s.name for s in services if s.state == "starting"]
    waiting += [e.name for e in engines if e.state != "ready"]
    if waiting:
        return "starting", f"waiting for {', '.join(waiting)}"
    return "healthy", "every instance wanted serves, every engine answers"


def _service(
    system: System,
    name: str,
    service: Service,
    backend: BackendStatistics | None,
    usage: Mapping[str, Usage],
    now: float,
) -> ServiceStatus:
    servers = {server.name: server for server in backend.servers} if backend else None
    records = system.instances.of(name)
    wanted = system.desired.wanted(name)
    return ServiceStatus(
        name=name,
        state=_service_state(records, wanted, servers, now),
        wanted=wanted,
        wanted_by=system.desired.wanted_by(name),
        ready=sum(_serves(record, servers) for record in records),
        revision=system.instances.revision(name),
        version=service.version,
        balance=service.balance.algorithm,
        rate=backend.rate if backend else 0,
        sessions=backend.sessions if backend else 0,
        queued=backend.queued if backend else 0,
        requests=_requests(system, name, backend),
        errors_5xx=backend.responses_5xx if backend else 0,
        response_time=backend.response_time if backend else 0.0,
        hidden=name.startswith(OWN_PREFIX),
        breaker=system.breakers.state(name, now),
        instances=[_instance(record, servers, usage.get(record.name)) for record in records],
    )


def _requests(system: System, name: str, backend: BackendStatistics | None) -> int:
    """Requests, connections or, behind a UDP listener, datagrams."""
    datagrams = system.forwarders.datagrams(name)
    if datagrams is not None:
        return datagrams
    return backend.requests if backend else 0


def _phase(record: Instance, servers: Servers) -> str:
    """Its phase, seen from the edge: one that serves may fail its checks, or not be there yet."""
    if record.phase is not Phase.SERVING or servers is None:
        return record.phase.value
    server = servers.get(record.name)
    if server is None:
        return Phase.STARTING.value
    return record.phase.value if server.state is ServerState.UP else _UNHEALTHY


def _serves(record: Instance, servers: Servers) -> bool:
    return _phase(record, servers) == Phase.SERVING.value


def _service_state(records: Iterable[Instance], wanted: int, servers: Servers, now: float) -> str:
    records = list(records)
    if wanted == 0:
        return "stopped"
    if any(crash_looping(tuple(record.deaths), now) for record in records):
        return "crash-looping"
    ready = sum(_serves(record, servers) for record in records)
    if ready >= wanted:
        return "healthy"
    hurt = any(_phase(record, servers) in (Phase.BACKOFF.value, _UNHEALTHY) for record in records)
    return "degraded" if hurt else "starting"


def _instance(record: Instance, servers: Servers, usage: Usage | None) -> InstanceStatus:
    server = servers.get(record.name) if servers else None
    phase = _phase(record, servers)
    return InstanceStatus(
        name=record.name,
        service=record.service,
        phase=phase,
        because=_because(record, server, phase),
        since=record.since,
        pid=record.pid,
        port=record.port,
        revision=record.revision,
        restarts=record.restarts,
        sessions=server.sessions if server else 0,
        queued=server.queued if server else 0,
        requests=server.requests if server else 0,
        errors=server.connection_errors + server.response_errors if server else 0,
        response_time=server.response_time if server else 0.0,
        weight=server.weight if server else 0,
        check=server.check if server else "",
        cpu=usage.cpu if usage else 0.0,
        memory=usage.memory if usage else 0,
    )


def _because(record: Instance, server: ServerStatistics | None, phase: str) -> str:
    """Why it is in this phase."""
    waited = time.time() - record.since
    if record.phase is Phase.STARTING and waited > _SOON and record.pid is not None:
        return f"nothing on port {record.port} answers as `health` expects, for {waited:.0f} s now"
    if server is None or phase != _UNHEALTHY:
        return record.because
    if server.state is ServerState.DRAINING:
        return "it failed live traffic and is ejected for a while"
    return f"its check says {server.check}"


def _engine(run: EngineRun, usage: Mapping[str, Usage]) -> EngineStatus:
    used = usage.get(run.engine.name)
    return EngineStatus(
        name=run.engine.name,
        kind=run.kind,
        resource=run.engine.resource,
        version=run.version,
        state=run.state,
        because=run.because,
        pid=run.pid,
        restarts=run.restarts,
        cpu=used.cpu if used else 0.0,
        memory=used.memory if used else 0,
    )


def _edges(system: System, usage: Mapping[str, Usage]) -> list[EngineStatus]:
    """The edge's replicas: `edge`, `edge-2`, …"""
    version = locate("haproxy").version
    return [
        EngineStatus(
            name=name,
            kind="haproxy",
            resource="",
            version=version,
            state="ready" if pid else "starting",
            because="it takes traffic" if pid else "it is being started again",
            pid=pid,
            restarts=system.edge.restarts_of(name),
            cpu=usage[name].cpu if name in usage else 0.0,
            memory=usage[name].memory if name in usage else 0,
        )
        for name, pid in system.edge.pids.items()
    ]


def _addresses(system: System) -> list[AddressStatus]:
    addresses = []
    for request, held in system.addresses.held:
        if not request.internal:
            scheme = "https" if request.tls else request.mode if not request.datagram else "udp"
            addresses.append(AddressStatus(request.purpose, f"{scheme}://{held.host}:{held.port}"))
    return addresses


def _limits(system: System) -> list[str]:
    return [f"{name}: {text}" for name, texts in system.keeper.warnings.items() for text in texts]
