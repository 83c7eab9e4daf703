"""From the design to what the edge is asked for: pure, given the sockets held and the instances that serve.

Names of held sockets carry the address asked for (`gateway-http@127.0.0.1:8080`), so that a changed address is a new
socket that can be refused before anything else changes. Every name in `uses` gets an internal listener
(`internal-NAME`) whose port stays the same for as long as the state is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudlet.contracts.edge import (
    USUAL_WEIGHT,
    Algorithm,
    Backend,
    Balance,
    Check,
    EdgeConfiguration,
    Listener,
    Route,
    Server,
)
from cloudlet.contracts.gateway import GATEWAY_SERVICE
from cloudlet.contracts.guard import Guard
from cloudlet.contracts.limits import LimitStore
from cloudlet.contracts.process import HeldSocket
from cloudlet.control.static_files import content
from cloudlet.control.store import Instance
from cloudlet.policy.lifecycle import Phase
from cloudlet.stack import Gateway, Service, Stack
from cloudlet.stack import Route as RouteDesign

#: protocols whose instances stand behind HAProxy
_BALANCED = frozenset({"http", "http2", "tcp"})
_LOOPBACK = "127.0.0.1"
#: cloudlet's own service for what the edge alone cannot do
GATEWAY = GATEWAY_SERVICE
#: cloudlet's own Valkeys: one for stored answers, one for counts, so that a flood of one never ends the other
STORE, LIMITS = "cloudlet-store", "cloudlet-limits"


@dataclass(frozen=True, slots=True)
class SocketRequest:
    """An address that the stack answers on. `backend` None follows the routes; `port` 0 takes any free one;
    `listener` is its name below `edge.listeners`."""

    name: str
    host: str
    port: int
    purpose: str
    backend: str | None = None
    mode: str = "http"
    tls: bool = False
    datagram: bool = False
    internal: bool = False
    listener: str = ""


def is_balanced(service: Service) -> bool:
    return service.protocol in _BALANCED


def public_sockets(stack: Stack) -> list[SocketRequest]:
    """The addresses that users of the system reach."""
    requests = []
    if stack.gateway is not None:
        listen = stack.gateway.listen
        for scheme, port in (("http", listen.http), ("https", listen.https)):
            if port is not None:
                name = f"gateway-{scheme}@{listen.address}:{port}"
                tls = scheme == "https"
                requests.append(SocketRequest(name, listen.address, port, f"gateway {scheme}", tls=tls))
    for name, listener in stack.edge.listeners.items():
        datagram = listener.udp is not None
        port = listener.udp if datagram else listener.tcp
        assert port is not None, "the model admits exactly one of tcp and udp"
        kind = "udp" if datagram else "tcp"
        requests.append(
            SocketRequest(
                f"listener-{name}@{listener.address}:{port}/{kind}",
                listener.address,
                port,
                f"listener {name} ({kind})",
                backend=listener.to,
                mode="tcp",
                datagram=datagram,
                listener=name,
            )
        )
    return requests


def internal_names(stack: Stack) -> list[str]:
    """Everything that some service uses and reaches through the edge, each once, in the file's order."""
    own = [GATEWAY] if GATEWAY in stack.services else []  # the edge itself asks it about credentials
    return list(dict.fromkeys([*(name for service in stack.services.values() for name in service.uses), *own]))


def internal_socket(stack: Stack, name: str, port: int) -> SocketRequest:
    """The internal listener of one used name; engines and tcp services are passed through as they are."""
    service = stack.services.get(name)
    mode = "http" if service is not None and service.protocol in ("http", "http2") else "tcp"
    backend = name if service is not None else engine_backend(name)
    purpose = f"internal {name}"
    return SocketRequest(f"internal-{name}", _LOOPBACK, port, purpose, backend=backend, mode=mode, internal=True)


def engine_backend(resource: str) -> str:
    """The edge's backend of a database or cache; the dot keeps it apart from every service's name."""
    return f"engine.{resource}"


def edge_configuration(
    stack: Stack,
    services: Mapping[str, Service],
    instances: Iterable[Instance],
    engine_ports: Mapping[str, int],
    sockets: Iterable[tuple[SocketRequest, HeldSocket]],
    certificates: Path | None,
    weights: Mapping[str, int],
    guard: Guard | None = None,
    limit_store: LimitStore | None = None,
    authorities: Path | None = None,
) -> EdgeConfiguration:
    """What HAProxy is to do now.

    `services` also holds those that the file has no more but whose instances still answer; `weights` what the
    control loop has set, by instance name.
    """
    serving = [instance for instance in instances if instance.phase is Phase.SERVING]
    backends = [
        service_backend(name, service, [i for i in serving if i.service == name], weights)
        for name, service in services.items()
        if is_balanced(service)
    ]
    engines = [_engine_backend(resource, port) for resource, port in engine_ports.items()]
    listeners = [_listener(r, held, certificates, authorities) for r, held in sockets if not r.datagram]
    return EdgeConfiguration(
        listeners=tuple(listeners),
        backends=(*backends, *engines),
        routes=tuple(map(route, stack.gateway.routes)) if stack.gateway else (),
        threads=stack.edge.threads,
        replicas=stack.edge.replicas,
        log_sample=stack.edge.log.sample,
        log_slow=stack.edge.log.slow,
        gateway=stack.gateway.model_copy(update={"routes": ()}) if stack.gateway else Gateway(),
        guard=guard,
        limit_store=limit_store,
    )


def route(design: RouteDesign) -> Route:
    """A route as the edge knows it; one that the edge alone can't serve goes through cloudlet's gateway service."""
    several = len(design.to) > 1 and not design.needs_gateway
    alone = design.to[0].service if len(design.to) == 1 else ""
    return Route(
        path=design.path,
        backend=GATEWAY if design.needs_gateway else alone,
        host=design.host,
        name=design.name or "",
        design=design,
        targets=tuple((target.service, target.weight) for target in design.to) if several else (),
        content=content(design.static.file) if design.static and design.static.file else "",
    )


def _listener(
    request: SocketRequest, held: HeldSocket, certificates: Path | None, authorities: Path | None
) -> Listener:
    return Listener(
        socket=held.name,
        descriptor=held.descriptor,
        mode=request.mode,
        backend=request.backend,
        certificates=certificates if request.tls else None,
        internal=request.internal,
        client_authorities=authorities if request.tls else None,
    )


def service_backend(name: str, service: Service, serving: Iterable[Instance], weights: Mapping[str, int]) -> Backend:
    """The balanced group of one service with the instances that serve."""
    return Backend(
        name=name,
        mode="tcp" if service.protocol == "tcp" else "http",
        http2=service.protocol == "http2",
        balance=Balance(Algorithm(service.balance.algorithm), service.balance.key, service.balance.bounded),
        check=_check(service),
        concurrency=service.concurrency,
        wait=service.wait.for_,
        wait_at_most=service.wait.at_most,
        sticky_cookie=service.sticky.cookie if service.sticky else None,
        slow_start=service.slow_start,
        timeout=service.timeout,
        retries=service.retries.attempts,
        retry_budget=service.retries.budget if service.retries.attempts else None,
        fallback=service.backup,
        breaker=service.breaker,
        servers=tuple(server(service, instance, weights) for instance in serving),
    )


def server(service: Service, instance: Instance, weights: Mapping[str, int]) -> Server:
    """One serving instance as the edge knows it."""
    weight = weights.get(instance.name, first_weight(service, instance.ordinal))
    return Server(instance.name, instance.ordinal, _LOOPBACK, instance.port, weight)


def first_weight(service: Service, ordinal: int) -> int:
    """The weight an instance begins with: the file's for its place, else the usual one."""
    given = service.balance.weights
    return given[min(ordinal, len(given)) - 1] if given else USUAL_WEIGHT


def _check(service: Service) -> Check:
    health = service.health
    return Check(
        path=health.path,
        interval=health.interval,
        timeout=health.timeout,
        rise=health.rise,
        fall=health.fall,
        expect=health.expect,
    )


def _engine_backend(resource: str, port: int) -> Backend:
    engine = Server(resource, 1, _LOOPBACK, port)
    return Backend(
        name=engine_backend(resource),
        mode="tcp",
        check=None,
        concurrency=0,
        timeout=86_400.0,
        servers=(engine,),
    )
