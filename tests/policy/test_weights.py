"""The weights that the loop sets, alone and in a closed loop with noise and queueing."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.weights import (
    GREATEST_WEIGHT,
    LEAST_WEIGHT,
    USUAL_WEIGHT,
    Measured,
    by_cpu,
    by_response_time,
)

measured = st.builds(
    Measured,
    name=st.uuids().map(str),
    weight=st.integers(1, 200),
    response_time=st.one_of(st.just(0.0), st.floats(1e-5, 60)),
    requests=st.integers(0, 10_000),
    errors=st.integers(0, 100),
    samples=st.integers(0, 100_000),
    cpu=st.floats(0, 1),
)
pools = st.lists(measured, max_size=12)
DECISIONS = pytest.mark.parametrize("decide", [by_response_time, by_cpu])


class Loop:
    """Servers behind one weighted balancer, looked at once a second. `speeds` are requests/s that each could
    do; a server's response time is that of M/M/1, its mean reaches over 512 requests as HAProxy's does."""

    def __init__(self, speeds: list[float], rate: float, seed: int = 1, memory: int = 512) -> None:
        self.speeds, self.rate, self.memory = speeds, rate, memory
        self.weights = [USUAL_WEIGHT] * len(speeds)
        self.means = [0.0] * len(speeds)
        self.total = [0] * len(speeds)
        self.random = random.Random(seed)

    def look(self) -> None:
        served = [self._serve(place) for place in range(len(self.speeds))]
        seen = [
            Measured(str(place), self.weights[place], self.means[place], served[place], samples=self.total[place])
            for place in range(len(self.speeds))
        ]
        self.weights = [weight.weight for weight in by_response_time(seen)]

    def _serve(self, place: int) -> int:
        """A second of requests: as many as its weight's share, each taking a random time around the mean."""
        exact = self.rate * self.weights[place] / sum(self.weights)
        count = int(exact) + (self.random.random() < exact % 1)
        mean = 1.0 / max(self.speeds[place] - exact, self.speeds[place] / 50)
        for _ in range(count):
            self.total[place] += 1
            sample = self.random.expovariate(1.0 / mean)
            self.means[place] += (sample - self.means[place]) / min(self.memory, self.total[place])
        return count

    def shares(self, looks: int) -> list[float]:
        """Each one's share of the requests over so many looks."""
        before = list(self.total)
        for _ in range(looks):
            self.look()
        gained = [now - then for now, then in zip(self.total, before, strict=True)]
        return [one / sum(gained) for one in gained]


@DECISIONS
@given(pools)
def test_weights_stay_within_their_limits_and_say_why(decide: Callable[..., tuple], servers: list[Measured]) -> None:
    """For any measurement: nobody starves, nobody takes all, and every server has a decision."""
    decided = decide(servers)
    assert [weight.name for weight in decided] == [server.name for server in servers]
    for weight in decided:
        assert LEAST_WEIGHT <= weight.weight <= GREATEST_WEIGHT or weight.weight in {
            server.weight for server in servers if server.name == weight.name
        }
        assert weight.because


@DECISIONS
@given(pools)
def test_a_weight_moves_by_a_bounded_step(decide: Callable[..., tuple], servers: list[Measured]) -> None:
    """At most a quarter of itself, or one; from outside the limits straight to them."""
    for server, decision in zip(servers, decide(servers), strict=True):
        if server.weight >= LEAST_WEIGHT:
            assert abs(decision.weight - server.weight) <= max(1, server.weight * 0.25 + 0.5)


@DECISIONS
@given(st.lists(st.integers(10, 200), min_size=2, max_size=8), measured)
def test_equal_servers_come_to_equal_weights_from_anywhere(
    decide: Callable[..., tuple], starts: list[int], alike: Measured
) -> None:
    """Whatever their weights were, however they are measured: the same measurement ends in the usual
    weight."""
    weights = starts
    for _ in range(150):
        seen = [
            Measured(str(n), w, alike.response_time, alike.requests, 0, alike.samples, alike.cpu)
            for n, w in enumerate(weights)
        ]
        weights = [weight.weight for weight in decide(seen)]
    assert set(weights) == {USUAL_WEIGHT}


@given(st.floats(0.005, 5), st.floats(1.5, 20))
def test_a_faster_server_never_weighs_less(slow: float, factor: float) -> None:
    """And with a clear difference it weighs more."""
    weights = [USUAL_WEIGHT, USUAL_WEIGHT]
    for _ in range(30):
        seen = [
            Measured("fast", weights[0], slow / factor, 100, samples=512),
            Measured("slow", weights[1], slow, 100, samples=512),
        ]
        weights = [weight.weight for weight in by_response_time(seen)]
    assert weights[0] >= weights[1]
    if factor > 3 and slow / factor > 0.005:
        assert weights[0] > 1.5 * weights[1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("utilisation", [0.1, 0.5, 0.8])
def test_twins_get_half_each(utilisation: float, seed: int) -> None:
    """traefik#12306: of two equal servers neither gets more than 55 % of the traffic, over 1,500 requests and
    more."""
    loop = Loop([500.0, 500.0], rate=1000 * utilisation, seed=seed)
    assert loop.shares(60) == pytest.approx([0.5, 0.5], abs=0.05)


def test_twins_get_half_each_at_a_trickle() -> None:
    """The case of traefik#12306 itself: 1,500 requests, one slow at first."""
    loop = Loop([500.0, 500.0], rate=10)
    loop.means[0], loop.total[0] = 0.5, 1
    shares = loop.shares(150)
    assert min(shares) > 0.4
    assert loop.shares(150) == pytest.approx([0.5, 0.5], abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_a_server_three_times_as_fast_gets_clearly_more(seed: int) -> None:
    """About two requests of three and more, while the slow one still gets enough to be measured."""
    loop = Loop([90.0, 30.0], rate=30, seed=seed)
    loop.shares(60)
    fast, slow = loop.shares(60)
    assert fast > 0.65
    assert slow > 0.1


def test_a_server_that_recovers_gets_its_share_back() -> None:
    """It is measured all the time, so once HAProxy's mean has forgotten, the twins are even."""
    loop = Loop([500.0, 50.0], rate=60)
    loop.shares(60)
    assert loop.weights[1] < 70
    loop.speeds[1] = 500.0
    loop.shares(120)
    assert loop.weights == pytest.approx([100, 100], abs=10)


@pytest.mark.parametrize("memory", [40, 512])
@pytest.mark.parametrize("utilisation", [0.75, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_the_weights_settle_without_swinging(seed: int, utilisation: float, memory: int) -> None:
    """Unequal servers under noise and queueing; with the short memory the mean follows within one look."""
    loop = Loop([60.0, 30.0, 30.0], rate=120 * utilisation, seed=seed, memory=memory)
    loop.shares(60)
    seen = []
    for _ in range(60):
        loop.look()
        seen.append(loop.weights[0])
    assert max(seen) - min(seen) <= 25


def test_a_server_without_traffic_drifts_back_to_be_measured() -> None:
    """Old news is no reason to starve anybody."""
    weight = LEAST_WEIGHT
    for _ in range(120):
        seen = [Measured("idle", weight, 2.0, 0), Measured("busy", USUAL_WEIGHT, 0.01, 100)]
        weight = by_response_time(seen)[0].weight
    assert weight == USUAL_WEIGHT


def test_failing_fast_is_not_being_fast() -> None:
    """A server that answers errors in no time gets no more than its fair share."""
    seen = [
        Measured("broken", 100, 0.005, 200, errors=200),
        Measured("well", 100, 0.050, 100),
        Measured("well too", 100, 0.050, 100),
    ]
    decided = by_response_time(seen)
    assert decided[0].weight <= decided[1].weight + 1
    assert "do not count as fast" in decided[0].because


def test_a_millisecond_is_no_difference_for_haproxy_cannot_tell() -> None:
    """Response times of one and two milliseconds may be equal: HAProxy measures whole ones."""
    seen = [Measured("one", 100, 0.001, 500), Measured("two", 100, 0.002, 500)]
    assert [weight.weight for weight in by_response_time(seen)] == [100, 100]


def test_cpu_that_is_left_draws_traffic() -> None:
    """A busy server gets less; two idle ones are equal whatever their noise."""
    busy = by_cpu([Measured("busy", 100, cpu=0.9), Measured("free", 100, cpu=0.3)])
    assert busy[0].weight < 100 < busy[1].weight
    assert busy[0].because == "it uses 90% of its CPU, the mean is 60%"
    idle = by_cpu([Measured("one", 100, cpu=0.01), Measured("other", 100, cpu=0.06)])
    assert [weight.weight for weight in idle] == [100, 100]
