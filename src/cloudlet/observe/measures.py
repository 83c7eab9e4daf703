"""What is measured, by names that Prometheus and OTLP share: families of samples, from HAProxy's own counters.

Names follow Prometheus' conventions: base units, `_total` on counters. Counters of instances and services start anew
with each HAProxy process, as both expect of a restarted target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from cloudlet.contracts.edge import BackendStatistics, RouteStatistics, ServerState, ServerStatistics

COUNTER, GAUGE = "counter", "gauge"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample:
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """`kind` is counter or gauge; `unit` as UCUM has it, for OTLP."""

    name: str
    kind: str
    help: str
    unit: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class _Metric(Generic[T]):
    name: str
    kind: str
    help: str
    of: Callable[[T], float]
    unit: str = "1"


_INSTANCE: tuple[_Metric[ServerStatistics], ...] = (
    _Metric("cloudlet_instance_up", GAUGE, "1 when the instance takes traffic.", lambda s: s.state is ServerState.UP),
    _Metric("cloudlet_instance_requests_total", COUNTER, "Requests given to the instance.", lambda s: s.requests),
    _Metric("cloudlet_instance_sessions", GAUGE, "Requests the instance works on now.", lambda s: s.sessions),
    _Metric("cloudlet_instance_queued", GAUGE, "Requests waiting for the instance.", lambda s: s.queued),
    _Metric(
        "cloudlet_instance_connection_errors_total",
        COUNTER,
        "Connections to the instance that failed.",
        lambda s: s.connection_errors,
    ),
    _Metric(
        "cloudlet_instance_response_errors_total",
        COUNTER,
        "Answers of the instance that broke off.",
        lambda s: s.response_errors,
    ),
    _Metric("cloudlet_instance_responses_5xx_total", COUNTER, "Answers with status 5xx.", lambda s: s.responses_5xx),
    _Metric("cloudlet_instance_retries_total", COUNTER, "Requests tried again.", lambda s: s.retries),
    _Metric(
        "cloudlet_instance_response_seconds",
        GAUGE,
        "Mean time to the first byte over the last 512 requests.",
        lambda s: s.response_time,
        "s",
    ),
    _Metric("cloudlet_instance_weight", GAUGE, "Its present weight in balancing.", lambda s: s.weight),
)
_SERVICE: tuple[_Metric[BackendStatistics], ...] = (
    _Metric("cloudlet_service_requests_total", COUNTER, "Requests for the service.", lambda s: s.requests),
    _Metric("cloudlet_service_responses_4xx_total", COUNTER, "Answers with status 4xx.", lambda s: s.responses_4xx),
    _Metric("cloudlet_service_responses_5xx_total", COUNTER, "Answers with status 5xx.", lambda s: s.responses_5xx),
    _Metric("cloudlet_service_sessions", GAUGE, "Requests under way now.", lambda s: s.sessions),
    _Metric("cloudlet_service_queued", GAUGE, "Requests waiting for an instance.", lambda s: s.queued),
    _Metric(
        "cloudlet_service_response_seconds",
        GAUGE,
        "Mean time to the first byte over the last 1024 requests.",
        lambda s: s.response_time,
        "s",
    ),
)
_ROUTE: tuple[_Metric[RouteStatistics], ...] = (
    _Metric("cloudlet_route_requests_total", COUNTER, "Requests that took the route.", lambda r: r.requests),
    _Metric("cloudlet_route_errors_4xx_total", COUNTER, "Answers with status 4xx.", lambda r: r.errors_4xx),
    _Metric("cloudlet_route_errors_5xx_total", COUNTER, "Answers with status 5xx.", lambda r: r.errors_5xx),
    _Metric("cloudlet_route_sessions", GAUGE, "Requests under way now.", lambda r: r.sessions),
)
#: of routes over several services
_VARIANT: tuple[_Metric[RouteStatistics], ...] = tuple(
    replace(metric, name=metric.name.replace("cloudlet_route_", "cloudlet_variant_")) for metric in _ROUTE
)


def families(
    stack: str, backends: Iterable[BackendStatistics], routes: Iterable[RouteStatistics] = ()
) -> tuple[Family, ...]:
    """Every family, each with a sample for each instance, service or route; without any, a family is left out."""
    backends, routes = tuple(backends), tuple(routes)
    servers = [server for backend in backends for server in backend.servers]
    return (
        *_families(_INSTANCE, servers, lambda s: {"stack": stack, "service": s.backend, "instance": s.name}),
        *_families(_SERVICE, backends, lambda b: {"stack": stack, "service": b.name}),
        *_families(_ROUTE, [r for r in routes if not r.variant], lambda r: {"stack": stack, "route": r.label}),
        *_families(
            _VARIANT,
            [r for r in routes if r.variant],
            lambda r: {"stack": stack, "route": r.label, "service": r.variant},
        ),
    )


def _families(
    metrics: Iterable[_Metric[T]], items: Iterable[T], labels: Callable[[T], dict[str, str]]
) -> Iterable[Family]:
    labelled = [(labels(item), item) for item in items]
    for metric in metrics if labelled else ():
        samples = tuple(Sample(told, float(metric.of(item))) for told, item in labelled)
        yield Family(metric.name, metric.kind, metric.help, metric.unit, samples)
