"""A whole stack that is observed: its audit, its metrics to fetch and its metrics pushed."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.live_stack import LiveStack, until

_FILE = """\
name: observed
services:
  app: {{command: {python} app.py, instances: 2, health: {{path: /health}}}}
gateway:
  listen: {{http: 0, https: off}}
  routes:
    - {{name: strict, path: /strict, to: app, accept: {{headers: [X-Tenant]}}}}
    - {{name: rest, path: /*, to: app}}
edge: {{log: {{sample: 0%}}}}
observe: {{metrics: {{otlp: "http://127.0.0.1:{port}", every: 1s}}}}
"""


class Collector(ThreadingHTTPServer):
    """Takes metrics as a collector does."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.routes: dict[str, int] = {}
        super().__init__(("127.0.0.1", 0), _Taker)


class _Taker(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        decoded = ExportMetricsServiceRequest()
        decoded.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        for metric in (m for r in decoded.resource_metrics for s in r.scope_metrics for m in s.metrics):
            self.server.names.add(metric.name)
            if metric.name == "cloudlet_route_requests_total":
                for point in metric.sum.data_points:
                    label = next(item.value.string_value for item in point.attributes if item.key == "route")
                    self.server.routes[label] = point.as_int
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(scope="module")
def observed(collector: Collector) -> Iterator[LiveStack]:
    with LiveStack(_FILE.format(port=collector.server_address[1], python=sys.executable)) as stack:
        stack.up()
        yield stack


def _status(stack: LiveStack, path: str) -> int:
    try:
        with urlopen(Request(stack.address() + path), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def _metrics(stack: LiveStack) -> str:
    connection = http.client.HTTPConnection("cloudlet", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(stack.paths.control_socket))
    try:
        connection.request("GET", "/v1/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_a_refusal_is_in_the_audit_and_ordinary_requests_are_not(observed: LiveStack) -> None:
    """With its reason, route and path; and so is the file that was applied."""
    assert _status(observed, "/strict") == 400
    assert _status(observed, "/ordinary") == 200

    def rows() -> list[dict[str, object]]:
        return [json.loads(line) for line in observed.cloudlet("audit", "--output", "json").stdout.splitlines()]

    until(lambda: any(row["kind"] == "refused" for row in rows()), "the refusal is audited")
    refused = [row for row in rows() if row["kind"] == "refused"]
    assert [(row["reason"], row["route"], row["status"]) for row in refused] == [("header:x-tenant", "strict", 400)]
    assert any(row["kind"] == "changed" and row["event"] == "applied" for row in rows())
    shown = observed.cloudlet("audit").stdout
    assert "refused 400 header:x-tenant GET" in shown
    assert observed.cloudlet("audit", "--since", "10ms").stdout == ""


def test_metrics_of_routes_can_be_fetched(observed: LiveStack) -> None:
    """In Prometheus' format, on the control socket."""
    _status(observed, "/counted")
    text = _metrics(observed)
    lines = [line for line in text.splitlines() if line.startswith("cloudlet_route_requests_total{")]
    line = next(line for line in lines if "rest" in line)
    assert 'stack="observed",route="rest"' in line
    assert float(line.rpartition(" ")[2]) >= 1
    assert 'cloudlet_service_requests_total{stack="observed",service="app"}' in text


def test_the_same_metrics_are_pushed(observed: LiveStack, collector: Collector) -> None:
    """Within a second or two a request is in the collector's count of its route."""
    before = collector.routes.get("rest", 0)
    _status(observed, "/pushed")
    until(lambda: collector.routes.get("rest", 0) > before, "the request is counted there")
    assert {"cloudlet_instance_up", "cloudlet_service_sessions", "cloudlet_route_errors_4xx_total"} <= collector.names
