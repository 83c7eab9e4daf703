"""Metrics pushed by OTLP over HTTP (opentelemetry.io/docs/specs/otlp), by OpenTelemetry's own exporter.

Not by its meters: they would keep every sum a second time. What HAProxy has counted is put into their data model as it
is: cumulative sums since `start`, and gauges. A collector that does not answer loses nothing but the time in between,
because sums are cumulative; it is told to the journal once when it begins and once when it is over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from cloudlet import __version__
from cloudlet.contracts.edge import BackendStatistics, RouteStatistics
from cloudlet.errors import CloudletError
from cloudlet.observe.measures import COUNTER, Family, Sample, families

#: what is measured now
Measured = tuple[tuple[BackendStatistics, ...], tuple[RouteStatistics, ...]]
#: seconds a collector has for an answer
_PATIENCE = 5.0
_NANOSECONDS = 1_000_000_000


class OtlpPush:
    """Pushes what `measure` finds to a collector (`http://HOST:4318`) every so many seconds until it is cancelled.

    `started` is the Unix time from which counters count. `told` is called with what went wrong, and with nothing when
    it goes well again.
    """

    def __init__(
        self,
        collector: str,
        every: float,
        stack: str,
        measure: Callable[[], Awaitable[Measured]],
        told: Callable[[str], None],
        started: float | None = None,
    ) -> None:
        self._every, self._stack, self._measure, self._told = every, stack, measure, told
        self._started = round((started or time.time()) * _NANOSECONDS)
        self._exporter = _exporter(f"{collector}/v1/metrics")
        self._failing = False

    async def run(self) -> None:
        try:
            while True:
                await self.push()
                await asyncio.sleep(self._every)
        finally:
            self._exporter.shutdown()

    async def push(self) -> None:
        """Once; never raises for a collector, or an edge, that is not there."""
        try:
            backends, routes = await self._measure()
        except CloudletError:
            return  # the edge is not there just now, which others tell
        found = families(self._stack, backends, routes)
        data = _data(found, self._stack, self._started, time.time_ns())
        wrong = await asyncio.to_thread(self._export, data)
        if bool(wrong) != self._failing:
            self._failing = bool(wrong)
            self._told(wrong)

    def _export(self, data: MetricsData) -> str:

        try:
            result = self._exporter.export(data, timeout_millis=_PATIENCE * 1000)
        except Exception as error:  # whatever its HTTP client raises
            return f"{type(error).__name__}: {error}"
        return "" if result is MetricExportResult.SUCCESS else "the collector did not take them"


def _exporter(endpoint: str) -> OTLPMetricExporter:

    # what it would print of a collector that is not there is told to the journal, once
    logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)
    return OTLPMetricExporter(endpoint=endpoint, timeout=_PATIENCE)


def _data(found: Iterable[Family], stack: str, started: int, now: int) -> MetricsData:
    resource = Resource({"service.namespace": stack, "service.name": "cloudlet", "service.version": __version__})
    scope = InstrumentationScope("cloudlet", __version__)
    metrics = [_metric(family, started, now) for family in found]
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, metrics, "")], "")])


def _metric(family: Family, started: int, now: int) -> Metric:

    def point(sample: Sample) -> NumberDataPoint:
        return NumberDataPoint(dict(sample.labels), started, now, _number(sample.value))

    points = [point(sample) for sample in family.samples]
    data: Sum | Gauge = (
        Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True) if family.kind == COUNTER else Gauge(points)
    )
    return Metric(family.name, family.help, family.unit, data)


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value
