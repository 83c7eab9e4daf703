"""least-response-time and resource-based through a whole stack: the weights that its control loop really sets from
what HAProxy and the kernel measure, beside what `policy.weights` makes of the same measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cloudlet.load import LoadPlan, Report, Request
from cloudlet.policy.weights import LEAST_WEIGHT, USUAL_WEIGHT, Measured, Weight, by_cpu, by_response_time
from tests.support.load import every, load

from .conftest import BehavingStack

#: cores that an instance of `burning` may use; its limit, so that the test takes little of the machine
CORES = 0.4
STACK = f"""
name: measured
services:
  uneven:
    {{app}}
    instances: 2
    balance: least-response-time
  twins:
    {{app}}
    instances: 2
    balance: least-response-time
  burning:
    {{app}}
    instances: 2
    balance: resource-based
    resources: {{cpu: {CORES}}}
gateway:
  listen: {{http: 0, https: "off"}}
  routes: [{{path: /uneven/*, to: uneven}}, {{path: /twins/*, to: twins}}, {{path: /burning/*, to: burning}}]
"""
SECONDS = 8
#: points by which a weight may differ from the twin's, which saw nearly the same in nearly the same seconds
NEAR = 15


@dataclass
class Seen:
    """`looks` are the instances of each service once a second."""

    report: Report
    looks: list[dict[str, dict[str, Any]]] = field(default_factory=list)

    def weights(self, service: str) -> dict[str, int]:
        return {name: instance["weight"] for name, instance in self.looks[-1][service].items()}

    def share(self, name: str) -> float:
        """Of its service's requests."""
        return _share(self.report.by_header, name)

    def share_at_last(self, name: str) -> float:
        """Of those in the last two seconds."""
        service = name.rpartition("-")[0]
        before, after = (self.looks[look][service] for look in (-3, -1))
        return _share({who: after[who]["requests"] - before[who]["requests"] for who in after}, name)

    def twin(self, service: str, decide: Callable[[Sequence[Measured]], tuple[Weight, ...]]) -> dict[str, int]:
        """The weights that the policy comes to, one look after the other."""
        servers = {name: Measured(name, USUAL_WEIGHT) for name in self.looks[0][service]}
        had = dict.fromkeys(servers, 0)
        for look in self.looks:
            measured = [_measured(servers[name], seen, had[name]) for name, seen in look[service].items()]
            had = {name: seen["requests"] for name, seen in look[service].items()}
            servers = {w.name: replace(servers[w.name], weight=w.weight) for w in decide(measured)}
        return {name: server.weight for name, server in servers.items()}


def _share(requests: dict[str, int], name: str) -> float:
    service = name.rpartition("-")[0]
    return requests[name] / sum(count for who, count in requests.items() if who.rpartition("-")[0] == service)


def _measured(server: Measured, seen: dict[str, Any], had: int) -> Measured:
    return replace(
        server,
        response_time=seen["response_time"],
        requests=seen["requests"] - had,
        samples=seen["requests"],
        cpu=min(1.0, seen["cpu"] / CORES),
    )


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    """Eight seconds of steady load on all three services."""
    with BehavingStack(STACK) as stack:
        stack.behave("uneven-1", delay=0.09)
        stack.behave("uneven-2", delay=0.03)
        for name in ("twins-1", "twins-2"):
            stack.behave(name, delay=0.03)
        stack.behave("burning-1", burn=0.8 * CORES)
        stack.up()
        targets = tuple(Request(target=f"/{service}/x") for service in ("uneven", "twins", "burning"))
        plan = LoadPlan(stack.address(), rate=360, duration=SECONDS, mix=targets, by_header="X-Instance", timeout=5)
        looks: list[dict[str, dict[str, Any]]] = []
        with load(plan) as running:
            every(1, SECONDS, lambda: looks.append({s: stack.instances(s) for s in ("uneven", "twins", "burning")}))
        assert running.report is not None
        yield Seen(running.report, looks)


def test_no_request_fails_while_weights_move(seen: Seen) -> None:
    """Weights change over the runtime socket and cost nothing."""
    print(f"\n{seen.report.failures or 'none'} failed of {seen.report.sent}: {seen.report.by_header}")
    assert seen.report.failed == 0
    assert seen.report.sent >= 2800


def test_least_response_time_prefers_an_instance_three_times_as_fast(seen: Seen) -> None:
    """It gets clearly more, the slow one is not starved, and the weights are the policy's."""
    weights, twin = seen.weights("uneven"), seen.twin("uneven", by_response_time)
    times = {name: instance["response_time"] for name, instance in seen.looks[-1]["uneven"].items()}
    share = seen.share_at_last("uneven-2")
    print(f"\nresponse times {times}, weights {weights}, twin {twin}; the fast one gets {share:.1%} at last")
    assert weights["uneven-2"] >= 1.5 * weights["uneven-1"]
    assert 0.6 < share < 0.9
    assert weights["uneven-1"] > LEAST_WEIGHT
    assert weights == pytest.approx(twin, abs=NEAR)


def test_least_response_time_splits_evenly_between_twins(seen: Seen) -> None:
    """50 ± 10 % each, at every look and at last, as the policy says."""
    twin = seen.twin("twins", by_response_time)
    print(f"\nweights {seen.weights('twins')}, twin {twin}; share of the first {seen.share('twins-1'):.1%}")
    assert seen.share("twins-1") == pytest.approx(0.5, abs=0.1)
    for look in seen.looks:
        one, other = (instance["weight"] for instance in look["twins"].values())
        assert one / (one + other) == pytest.approx(0.5, abs=0.1)
    assert seen.weights("twins") == pytest.approx(twin, abs=NEAR)


def test_resource_based_shifts_away_from_an_instance_that_burns_cpu(seen: Seen) -> None:
    """It gets clearly less, but is not starved, and the weights are the policy's."""
    weights, twin = seen.weights("burning"), seen.twin("burning", by_cpu)
    used = {name: round(instance["cpu"], 2) for name, instance in seen.looks[-1]["burning"].items()}
    share = seen.share_at_last("burning-1")
    print(f"\nCPU {used} of {CORES} cores, weights {weights}, twin {twin}; the busy one gets {share:.1%} at last")
    assert weights["burning-2"] >= 1.5 * weights["burning-1"]
    assert 0.1 < share < 0.4
    assert weights == pytest.approx(twin, abs=NEAR)
