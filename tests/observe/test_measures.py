"""Metrics as Prometheus fetches them, and as a collector gets them over OTLP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from cloudlet.contracts.edge import BackendStatistics, RouteStatistics, ServerState, ServerStatistics
from cloudlet.observe.otlp import OtlpPush
from cloudlet.observe.prometheus import exposition

_SERVER = ServerStatistics("orders", "orders-1", ServerState.UP, 100, 3, 1, 12_345_678, 2, 1, 7, 4, 0, 0.25, "L7OK/200")
_BACKEND = BackendStatistics("orders", 3, 1, 12_345_679, 55, 9, 7, 0.5, (_SERVER,))
_ROUTES = (RouteStatistics("GET:api/orders/{id}", 10, 2, 1, 4, 5), RouteStatistics('odd"\\\nname', 1))


def test_prometheus_gets_every_family_with_its_type() -> None:
    """Instances, services and routes; counters to the last digit."""
    lines = exposition([_BACKEND], "shop", _ROUTES).splitlines()
    assert 'cloudlet_instance_up{stack="shop",service="orders",instance="orders-1"} 1' in lines
    assert 'cloudlet_instance_requests_total{stack="shop",service="orders",instance="orders-1"} 12345678' in lines
    assert 'cloudlet_instance_response_seconds{stack="shop",service="orders",instance="orders-1"} 0.25' in lines
    assert 'cloudlet_service_requests_total{stack="shop",service="orders"} 12345679' in lines
    assert 'cloudlet_route_requests_total{stack="shop",route="GET:api/orders/{id}"} 10' in lines
    assert 'cloudlet_route_errors_5xx_total{stack="shop",route="GET:api/orders/{id}"} 1' in lines
    assert "# TYPE cloudlet_route_requests_total counter" in lines
    assert "# TYPE cloudlet_route_sessions gauge" in lines


def test_label_values_are_escaped() -> None:
    """A quote, a backslash or a line end in a name ends neither the label nor the line."""
    assert r'cloudlet_route_requests_total{stack="shop",route="odd\"\\\nname"} 1' in exposition([], "shop", _ROUTES)


def test_without_routes_there_is_no_family_of_routes() -> None:
    """A family without samples is no family."""
    assert "cloudlet_route" not in exposition([_BACKEND], "shop")


@dataclass
class Collector:
    """A real HTTP server that decodes what it is sent; answers `status`."""

    status: int = 200
    got: list[ExportMetricsServiceRequest] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        decoded = ExportMetricsServiceRequest()
        decoded.ParseFromString(await request.read())
        self.got.append(decoded)
        body = ExportMetricsServiceResponse().SerializeToString()
        return web.Response(status=self.status, body=body, content_type="application/x-protobuf")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    application = web.Application()
    application.router.add_post("/v1/metrics", made.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def _measure() -> tuple[tuple[BackendStatistics, ...], tuple[RouteStatistics, ...]]:
    return (_BACKEND,), _ROUTES


async def test_a_collector_gets_the_same_numbers(collector: Collector) -> None:
    """Sums since the start, cumulative and monotonic; gauges; who they are of, in the attributes."""
    told: list[str] = []
    push = OtlpPush(collector.url, 10.0, "shop", _measure, told.append, started=1000.0)
    await push.push()
    resource = collector.got[0].resource_metrics[0]
    attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert (attributes["service.name"], attributes["service.namespace"]) == ("cloudlet", "shop")
    metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    requests = metrics["cloudlet_route_requests_total"].sum
    assert requests.is_monotonic
    assert requests.aggregation_temporality == 2, "cumulative"
    point = requests.data_points[0]
    assert {item.key: item.value.string_value for item in point.attributes} == {
        "stack": "shop",
        "route": "GET:api/orders/{id}",
    }
    assert (point.as_int, point.start_time_unix_nano) == (10, 1000 * 10**9)
    assert metrics["cloudlet_instance_response_seconds"].gauge.data_points[0].as_double == 0.25
    assert metrics["cloudlet_instance_response_seconds"].unit == "s"
    assert told == []


async def test_it_pushes_again_and_again(collector: Collector) -> None:
    """Every so often, until it is cancelled."""
    push = asyncio.create_task(OtlpPush(collector.url, 0.01, "shop", _measure, print).run())
    async with asyncio.timeout(10):
        while len(collector.got) < 3:
            await asyncio.sleep(0.01)
    push.cancel()
    await asyncio.gather(push, return_exceptions=True)


async def test_a_collector_that_refuses_is_told_once(collector: Collector) -> None:
    """When it begins, and when it is over."""
    told: list[str] = []
    push = OtlpPush(collector.url, 10.0, "shop", _measure, told.append)
    collector.status = 400
    await push.push()
    await push.push()
    collector.status = 200
    await push.push()
    assert [bool(message) for message in told] == [True, False]


async def test_a_collector_that_is_not_there_breaks_nothing() -> None:
    """It is said, and tried again the next time."""
    told: list[str] = []
    push = OtlpPush("http://127.0.0.1:1", 10.0, "shop", _measure, told.append)
    await asyncio.wait_for(push.push(), 20)
    assert len(told) == 1
