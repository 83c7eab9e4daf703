"""least-connections, weighted-least-connections and random: whom HAProxy prefers, beside its twins."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import islice

import pytest

from cloudlet.contracts.edge import Algorithm, Balance
from cloudlet.policy.balance import Server
from tests.edge.conftest import Harness, backend, server_of

from .holding import Flight, Holding
from .twins import Twin, closed_loop, drawing, equals, weighted

FlightOf = Callable[..., Awaitable[Flight]]


@pytest.fixture
async def flight_of(harness: Harness) -> AsyncIterator[FlightOf]:
    """Starts the edge with this algorithm over servers of these weights that hold what they get."""
    made: list[Flight] = []

    async def make(algorithm: str, weights: tuple[int, ...], bounded: float | None = None) -> Flight:
        upstreams = [Holding(f"a-{n}") for n in range(1, len(weights) + 1)]
        for upstream in upstreams:
            harness.upstreams.append(await upstream.start())
        servers = [server_of(upstream, weight=weight) for upstream, weight in zip(upstreams, weights, strict=True)]
        await harness.start(backend("a", *servers, balance=Balance(Algorithm(algorithm), None, bounded)))
        made.append(Flight(harness, upstreams))
        return made[-1]

    yield make
    for flight in made:
        await flight.end()


def key(server: Server) -> float:
    """What least connections goes by."""
    return (server.connections + 1) / server.weight if server.connections else 0.0


@pytest.mark.parametrize(
    ("algorithm", "weights"),
    [("least-connections", (100, 100, 100, 100)), ("weighted-least-connections", (200, 100, 50))],
)
async def test_every_choice_is_one_that_the_twin_holds_equal(
    flight_of: FlightOf, algorithm: str, weights: tuple[int, ...]
) -> None:
    """A hundred requests come and sixty go at random: each goes to a server as little loaded as the twin's choice."""
    flight, twin, chance = await flight_of(algorithm, weights), Twin(algorithm), random.Random(7)
    servers, same = weighted(*weights), 0
    for number in range(100):
        seen = flight.seen(servers)
        held, real = twin.choose(seen), await flight.send()
        same += held.ordinal == real
        assert key(seen[real - 1]) == pytest.approx(key(held)), f"request {number}: a-{real} of {seen}"
        if chance.random() < 0.6:
            busy = [n for n, count in enumerate(flight.connections(), 1) if count]
            await flight.let_go(chance.choice(busy))
    print(f"\n{algorithm}: {same} of 100 choices the very same, all equally loaded; at last {flight.connections()}")


async def test_weighted_least_connections_fills_up_by_weight(flight_of: FlightOf) -> None:
    """Of 140 requests that stay, 4 : 2 : 1 as the weights, within one, in both."""
    flight, twin, servers = (
        await flight_of("weighted-least-connections", (200, 100, 50)),
        Twin("weighted-least-connections"),
        list(weighted(200, 100, 50)),
    )
    for _ in range(140):
        await flight.send()
        chosen = twin.choose(servers)
        servers[chosen.ordinal - 1] = replace(chosen, connections=chosen.connections + 1)
    held = tuple(server.connections for server in servers)
    print(f"\nHAProxy {flight.connections()}, twin {held}")
    assert flight.connections() == pytest.approx((80, 40, 20), abs=1)
    assert held == pytest.approx((80, 40, 20), abs=1)


@pytest.mark.parametrize("algorithm", ["least-connections", "random"])
async def test_a_slow_server_is_avoided_as_much(harness: Harness, algorithm: str) -> None:
    """Twelve clients, one of three servers six times as slow: the slow one's share is the twin's within 7 points, and
    far below a third."""
    delays = {"a-1": 0.12, "a-2": 0.02, "a-3": 0.02}
    servers = await harness.servers("a", 3)
    for upstream in harness.upstreams:
        upstream.delay = delays[upstream.name]
    await harness.start(backend("a", *servers, balance=Balance(Algorithm(algorithm))))
    real = await harness.names(600, at_once=12)
    held = closed_loop(algorithm, equals(3), delays, 12, 600)
    print(f"\n{algorithm}: HAProxy {real}, twin {dict(held)}")
    assert real["a-1"] / 600 == pytest.approx(held["a-1"] / 600, abs=0.07)
    assert real["a-1"] < 130
    assert abs(real["a-2"] - real["a-3"]) < 120


async def test_equal_servers_share_evenly_and_idle_ones_take_turns(harness: Harness) -> None:
    """One request at a time, each of three gets a third in both."""
    balance = Balance(Algorithm.LEAST_CONNECTIONS)
    await harness.start(backend("a", *await harness.servers("a", 3), balance=balance))
    real = Counter([await harness.name() for _ in range(150)])
    held = Twin("least-connections").spread(equals(3), islice(drawing(), 150))
    print(f"\nHAProxy {dict(real)}, twin {dict(held)}")
    assert all(count == pytest.approx(50, abs=10) for count in real.values())
    assert set(held.values()) == {50}


async def test_random_draws_in_proportion_to_weight(harness: Harness) -> None:
    """Idle servers of weights 1 : 2 : 3 get a sixth, a third and half, within five points, in both."""
    made = await harness.servers("a", 3)
    servers = [replace(server, weight=50 * server.ordinal) for server in made]
    await harness.start(backend("a", *servers, balance=Balance(Algorithm.RANDOM)))
    real = Counter([await harness.name() for _ in range(900)])
    held = Twin("random").spread(weighted(50, 100, 150), islice(drawing(), 900))
    print(f"\nHAProxy {dict(real)}, twin {dict(held)}")
    for ordinal, server in enumerate(servers, 1):
        assert real[server.name] / 900 == pytest.approx(ordinal / 6, abs=0.05)
        assert held[server.name] / 900 == pytest.approx(ordinal / 6, abs=0.05)


async def test_random_spreads_what_stays_far_better_than_one_draw(flight_of: FlightOf) -> None:
    """Of 160 requests that stay on eight servers the fullest has 24 at most, one draw alone would give it 27 or more;
    in both."""
    flight, twin, servers = await flight_of("random", (100,) * 8), Twin("random"), list(equals(8))
    alone = Counter(int(request.draws[0] * 8) for request in islice(drawing(), 160))
    for request in islice(drawing(), 160):
        await flight.send()
        chosen = twin.choose(servers, request)
        servers[chosen.ordinal - 1] = replace(chosen, connections=chosen.connections + 1)
    held = tuple(server.connections for server in servers)
    print(f"\nHAProxy {flight.connections()}, twin {held}, one draw alone {sorted(alone.values())}")
    assert max(flight.connections()) <= 24
    assert max(held) <= 24
    assert max(alone.values()) > 24
