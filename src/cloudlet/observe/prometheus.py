"""Metrics in the Prometheus text format, version 0.0.4, from HAProxy's own counters.

Names follow Prometheus' conventions: base units, `_total` on counters. Counters start anew with each HAProxy process,
as Prometheus expects of a restarted target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cloudlet.contracts.edge import BackendStatistics, ServerState, ServerStatistics


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    kind: str
    help: str
    of: Callable[[ServerStatistics], float]


_METRICS = (
    _Metric(
        "cloudlet_instance_up",
        "gauge",
        "1 when the instance takes traffic.",
        lambda s: s.state is ServerState.UP,
    ),
    _Metric("cloudlet_instance_requests_total", "counter", "Requests given to the instance.", lambda s: s.requests),
    _Metric("cloudlet_instance_sessions", "gauge", "Requests the instance works on now.", lambda s: s.sessions),
    _Metric("cloudlet_instance_queued", "gauge", "Requests waiting for the instance.", lambda s: s.queued),
    _Metric(
        "cloudlet_instance_connection_errors_total",
        "counter",
        "Connections to the instance that failed.",
        lambda s: s.connection_errors,
    ),
    _Metric(
        "cloudlet_instance_response_errors_total",
        "counter",
        "Answers of the instance that broke off.",
        lambda s: s.response_errors,
    ),
    _Metric(
        "cloudlet_instance_responses_5xx_total",
        "counter",
        "Answers with status 5xx.",
        lambda s: s.responses_5xx,
    ),
    _Metric("cloudlet_instance_retries_total", "counter", "Requests tried again.", lambda s: s.retries),
    _Metric(
        "cloudlet_instance_response_seconds",
        "gauge",
        "Mean time to the first byte over the last 512 requests.",
        lambda s: s.response_time,
    ),
    _Metric("cloudlet_instance_weight", "gauge", "Its present weight in balancing.", lambda s: s.weight),
)


def exposition(backends: Iterable[BackendStatistics], stack: str) -> str:
    """The text that a scrape answers, one family after the other."""
    servers = [server for backend in backends for server in backend.servers]
    return "".join(line for metric in _METRICS for line in _family(metric, servers, stack))


def _family(metric: _Metric, servers: Iterable[ServerStatistics], stack: str) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
    for server in servers:
        labels = f'stack="{stack}",service="{server.backend}",instance="{server.name}"'
        yield f"{metric.name}{{{labels}}} {float(metric.of(server)):g}\n"
