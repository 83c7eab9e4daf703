"""The twins of the balance algorithms: the properties that the engine is compared by."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import reduce
from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.contracts.edge import USUAL_WEIGHT, Algorithm
from cloudlet.policy import weights
from cloudlet.policy.balance import ALGORITHMS, Request, Server, Servers, twin
from cloudlet.policy.balance.consistent_hash import slots
from cloudlet.policy.balance.least_response_time import reweigh as reweigh_by_time
from cloudlet.policy.balance.resource_based import reweigh as reweigh_by_cpu

EVERY = sorted(ALGORITHMS)
#: algorithms of which a weight's share is promised at any load
WEIGHTED = ["weighted-round-robin", "random", "consistent-hash", "ip-hash"]


@st.composite
def pools(draw: st.DrawFn, least: int = 1) -> tuple[Server, ...]:
    """Servers of any load and weight; at least one is available."""
    loads = st.tuples(st.integers(1, 256), st.integers(0, 50), st.booleans())
    drawn = draw(st.lists(loads, min_size=least, max_size=8))
    always = draw(st.integers(0, len(drawn) - 1))
    return tuple(
        Server(f"s-{place + 1}", place + 1, weight, connections, available or place == always)
        for place, (weight, connections, available) in enumerate(drawn)
    )


def requests(count: int, seed: int = 1) -> list[Request]:
    numbers = random.Random(seed)
    return [
        Request(f"10.0.{n // 250}.{n % 250}", f"user-{n}", (numbers.random(), numbers.random())) for n in range(count)
    ]


def spread(algorithm: str, servers: Servers, count: int, bounded: float | None = None) -> Counter[str]:
    """How many of so many requests each server gets, nothing of it staying in flight."""
    balancer = twin(algorithm, bounded)
    state = balancer.begin()
    chosen: Counter[str] = Counter()
    for request in requests(count):
        choice, state = balancer.choose(servers, request, state)
        assert choice.server is not None
        chosen[choice.server.name] += 1
    return chosen


def owners(algorithm: str, servers: Servers, count: int = 2000) -> list[str]:
    """The server of each of so many keys."""
    balancer = twin(algorithm)
    state = balancer.begin()
    found = []
    for request in requests(count):
        choice, state = balancer.choose(servers, request, state)
        assert choice.server is not None
        found.append(choice.server.name)
    return found


def equals(count: int) -> tuple[Server, ...]:
    return tuple(Server(f"s-{ordinal}", ordinal) for ordinal in range(1, count + 1))


def test_every_algorithm_of_the_file_has_a_twin() -> None:
    """The names are those of the contract, and so is the usual weight."""
    assert set(ALGORITHMS) == {str(algorithm) for algorithm in Algorithm}
    assert weights.USUAL_WEIGHT == USUAL_WEIGHT


@pytest.mark.parametrize("algorithm", EVERY)
@given(servers=pools(), draws=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)))
def test_chooses_only_available_servers_and_says_why(
    algorithm: str, servers: tuple[Server, ...], draws: tuple[float, float]
) -> None:
    """Whatever the load, whoever is down, the choice is a server that is up."""
    balancer = twin(algorithm)
    state = balancer.begin()
    for number in range(5):
        choice, state = balancer.choose(servers, Request("10.0.0.1", f"k{number}", draws), state)
        assert choice.server in servers
        assert choice.server.available
        assert choice.because


@pytest.mark.parametrize("algorithm", EVERY)
def test_says_so_when_no_server_is_available(algorithm: str) -> None:
    """An empty backend and one with all servers down give no server, never an error."""
    balancer = twin(algorithm)
    down = tuple(replace(server, available=False) for server in equals(2))
    for servers in ((), down):
        choice, _ = balancer.choose(servers, Request("10.0.0.1", "k"), balancer.begin())
        assert choice.server is None
        assert choice.because == "no server is available"


@pytest.mark.parametrize("algorithm", EVERY)
def test_every_available_server_is_eventually_chosen(algorithm: str) -> None:
    """No algorithm forgets a server."""
    assert len(spread(algorithm, equals(5), 2000)) == 5


@pytest.mark.parametrize("algorithm", EVERY)
def test_the_state_that_is_given_is_never_changed(algorithm: str) -> None:
    """The same state and request give the same choice again: a simulation can go back."""
    balancer = twin(algorithm)
    state = balancer.begin()
    for request in requests(20):
        first = balancer.choose(equals(3), request, state)
        again = balancer.choose(equals(3), request, state)
        assert first[0] == again[0]
        state = first[1]


@pytest.mark.parametrize("algorithm", ["round-robin", "least-connections", "weighted-least-connections"])
def test_equal_idle_servers_take_turns(algorithm: str) -> None:
    """Over n requests each of n gets one."""
    assert set(spread(algorithm, equals(7), 70).values()) == {10}


def test_round_robin_costs_nobody_a_turn_when_one_leaves() -> None:
    """The turn goes on behind the one chosen last, whoever has gone."""
    balancer = twin("round-robin")
    turns, state = [], balancer.begin()
    for servers in (equals(4), equals(4), equals(4)[2:], equals(4)[2:], equals(4), equals(4)):
        choice, state = balancer.choose(servers, Request(), state)
        turns.append(choice.server.name[2:])
    assert "".join(turns) == "123412"


@given(pools())
def test_weighted_round_robin_is_exact_over_a_full_cycle(servers: tuple[Server, ...]) -> None:
    """Each available server gets exactly its weight's share, and the credits are back where they began."""
    present = [server for server in servers if server.available]
    common = reduce(gcd, (int(server.weight) for server in present))
    cycle = sum(int(server.weight) for server in present) // common
    got = spread("weighted-round-robin", servers, cycle)
    assert got == {server.name: server.weight // common for server in present}


@given(pools(least=2))
def test_weighted_round_robin_never_bursts(servers: tuple[Server, ...]) -> None:
    """At no time has a server had more than one turn above its share of the turns so far, or one below n -
    1."""
    balancer = twin("weighted-round-robin")
    state = balancer.begin()
    present = [server for server in servers if server.available]
    total = sum(server.weight for server in present)
    turns: Counter[str] = Counter()
    for number in range(1, 200):
        choice, state = balancer.choose(servers, Request(), state)
        turns[choice.server.name] += 1
        for server in present:
            ahead = turns[server.name] - number * server.weight / total
            assert -len(present) < ahead < len(present)


@pytest.mark.parametrize("algorithm", WEIGHTED)
def test_shares_follow_the_weights(algorithm: str) -> None:
    """Weights of 1 : 2 : 3 give shares of a sixth, a third and a half, within three points."""
    servers = tuple(replace(server, weight=50 * server.ordinal) for server in equals(3))
    got = spread(algorithm, servers, 12_000)
    for server in servers:
        assert got[server.name] / 12_000 == pytest.approx(server.ordinal / 6, abs=0.03)


@given(pools())
def test_least_connections_has_the_fewest(servers: tuple[Server, ...]) -> None:
    """No available server has fewer requests in flight than the chosen one."""
    balancer = twin("least-connections")
    choice, _ = balancer.choose(servers, Request(), balancer.begin())
    assert choice.server.connections == min(s.connections for s in servers if s.available)


@given(pools())
def test_weighted_least_connections_has_the_fewest_for_its_weight(servers: tuple[Server, ...]) -> None:
    """By HAProxy's key: an idle one first, then the lowest (in flight + 1) / weight."""

    def key(server: Server) -> float:
        return (server.connections + 1) / server.weight if server.connections else 0.0

    balancer = twin("weighted-least-connections")
    choice, _ = balancer.choose(servers, Request(), balancer.begin())
    assert key(choice.server) == min(key(server) for server in servers if server.available)


def test_weighted_least_connections_fills_up_by_weight() -> None:
    """With requests that stay, the numbers in flight follow the weights."""
    servers = [replace(server, weight=100 * server.ordinal) for server in equals(3)]
    balancer = twin("weighted-least-connections")
    state = balancer.begin()
    for _ in range(600):
        choice, state = balancer.choose(servers, Request(), state)
        place = choice.server.ordinal - 1
        servers[place] = replace(choice.server, connections=choice.server.connections + 1)
    assert [server.connections for server in servers] == pytest.approx([100, 200, 300], abs=3)


@given(pools(), st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)))
def test_two_choices_never_takes_the_most_loaded_of_what_it_drew(
    servers: tuple[Server, ...], draws: tuple[float, float]
) -> None:
    """The choice is no more loaded for its weight than either draw alone would have been."""
    balancer = twin("random")
    request = Request(draws=draws)
    choice, _ = balancer.choose(servers, request, None)
    for draw in draws:
        alone, _ = balancer.choose(servers, Request(draws=(draw, draw)), None)
        load = choice.server.connections / choice.server.weight
        assert load <= alone.server.connections / alone.server.weight


def test_two_choices_spreads_far_better_than_one() -> None:
    """10,000 requests that stay on 20 servers: the fullest has a few more than the mean of 500, as theory
    says."""
    servers = list(equals(20))
    balancer = twin("random")
    for request in requests(10_000):
        choice, _ = balancer.choose(servers, request, None)
        place = choice.server.ordinal - 1
        servers[place] = replace(choice.server, connections=choice.server.connections + 1)
    assert max(server.connections for server in servers) <= 505


@pytest.mark.parametrize("algorithm", ["ip-hash", "consistent-hash"])
@pytest.mark.parametrize("how", ["is down", "is gone"])
def test_only_the_keys_of_a_leaving_server_move(algorithm: str, how: str) -> None:
    """Every other key stays; those that move were its fair share, and spread over all that remain."""
    servers = equals(5)
    left = [replace(s, available=s.ordinal != 3) for s in servers if how == "is down" or s.ordinal != 3]
    before, after = owners(algorithm, servers), owners(algorithm, left)
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {old for old, _ in moved} == {"s-3"}
    assert len(moved) / len(before) == pytest.approx(1 / 5, abs=0.04)
    assert {new for _, new in moved} == {"s-1", "s-2", "s-4", "s-5"}


@given(pools(least=2))
def test_a_server_that_comes_takes_keys_but_moves_none_between_others(servers: tuple[Server, ...]) -> None:
    """Whatever the weights: a key either stays or goes to the new server."""
    old, new = (
        owners("consistent-hash", servers, 100),
        owners("consistent-hash", [*servers, Server("n", 99)], 100),
    )
    assert all(now in (before, "n") for before, now in zip(old, new, strict=True))


def test_the_order_of_servers_does_not_move_keys() -> None:
    """A ring depends on ordinals and weights alone."""
    assert owners("consistent-hash", equals(5)) == owners("consistent-hash", equals(5)[::-1])


def test_requests_without_a_key_go_anywhere() -> None:
    """They follow the draw, so they spread instead of all meeting on one server."""
    balancer = twin("consistent-hash")
    state = balancer.begin()
    got: Counter[str] = Counter()
    for request in requests(3000):
        choice, state = balancer.choose(equals(3), replace(request, key=None), state)
        got[choice.server.name] += 1
    assert min(got.values()) > 850


@given(pools(), st.sampled_from([1.0, 1.1, 1.25, 2.0]))
def test_bounded_slots_make_up_the_bound(servers: tuple[Server, ...], bound: float) -> None:
    """Together they hold one more than is in flight, times the bound; rounding a server up to one adds at
    most n."""
    present = [server for server in servers if server.available]
    wanted = (sum(server.connections for server in present) + 1) * bound
    given_slots = slots(servers, bound)
    assert wanted - 1e-6 <= sum(given_slots.values()) <= wanted + 1 + len(present)
    assert min(given_slots.values()) >= 1


@pytest.mark.parametrize("bound", [1.0, 1.25, 2.0])
def test_bounded_load_never_exceeds_the_bound(bound: float) -> None:
    """One hot key for all requests, which stay: no server gets above its part of the bound, rounded up."""
    servers = list(equals(4))
    balancer = twin("consistent-hash", bound)
    state = balancer.begin()
    for number in range(1, 401):
        choice, state = balancer.choose(servers, Request(key="hot"), state)
        place = choice.server.ordinal - 1
        servers[place] = replace(choice.server, connections=choice.server.connections + 1)
        assert max(server.connections for server in servers) <= bound * number / 4 + 2
    assert sum(server.connections for server in servers) == 400


def test_the_bound_leaves_keys_alone_while_nobody_is_above_it() -> None:
    """With nothing in flight every key has the server that it has without a bound."""
    balancer = twin("consistent-hash", 1.25)
    state = balancer.begin()
    bounded = []
    for request in requests(500):
        choice, state = balancer.choose(equals(5), request, state)
        bounded.append(choice.server.name)
    assert bounded == owners("consistent-hash", equals(5), 500)


def test_the_reweighing_twins_shift_turns_to_the_better_server() -> None:
    """A server three times as fast, or with far more CPU left, gets more turns after some looks."""
    servers: tuple[Server, ...] = (
        Server("fast", 1, response_time=0.010, cpu=0.2),
        Server("slow", 2, response_time=0.030, cpu=0.8),
    )
    by_time = by_cpu = servers
    for _ in range(20):
        by_time = reweigh_by_time(by_time, {"fast": 100, "slow": 100})
        by_cpu = reweigh_by_cpu(by_cpu)
    assert spread("least-response-time", by_time, 1000)["fast"] > 650
    assert spread("resource-based", by_cpu, 1000)["fast"] > 650
