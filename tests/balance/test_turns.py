"""round-robin and weighted-round-robin: HAProxy's turns beside those of the twins, request by request."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import reduce
from itertools import islice
from math import gcd

import pytest

from cloudlet.contracts.edge import Algorithm, Balance
from tests.edge.conftest import Harness, backend

from .twins import Twin, drawing, equals, weighted


async def turns(harness: Harness, count: int) -> list[str]:
    """Who answers so many requests, one after the other."""
    return [await harness.name() for _ in range(count)]


def twin_turns(twin: Twin, servers: tuple, count: int) -> list[str]:
    return twin.names(servers, islice(drawing(), count))


def farthest_ahead(names: list[str], weights: dict[str, int]) -> float:
    """The most turns that any server was ever above its share of those so far."""
    total, had, farthest = sum(weights.values()), Counter(), 0.0
    for number, name in enumerate(names, 1):
        had[name] += 1
        farthest = max(farthest, had[name] - number * weights[name] / total)
    return farthest


async def test_round_robin_gives_each_one_turn_in_any_run_of_n(harness: Harness) -> None:
    """Wherever the run begins; the twin does the same."""
    await harness.start(backend("a", *await harness.servers("a", 5), balance=Balance(Algorithm.ROUND_ROBIN)))
    real, twin = await turns(harness, 200), twin_turns(Twin("round-robin"), equals(5), 200)
    print(f"\nHAProxy {dict(Counter(real))}, twin {dict(Counter(twin))}")
    for names in (real, twin):
        assert all(len(set(names[begin : begin + 5])) == 5 for begin in range(196))


async def test_round_robin_costs_nobody_a_turn_when_one_leaves_or_comes(harness: Harness) -> None:
    """Over four rounds after the change each has four turns, within one, in both."""
    servers = await harness.servers("a", 4)
    await harness.start(backend("a", *servers[:3], balance=Balance(Algorithm.ROUND_ROBIN)))
    twin = Twin("round-robin")
    real_turns, twin_turned = [await turns(harness, 4)], [twin_turns(twin, equals(3), 4)]
    await harness.edge.remove_server("a", "a-2")
    left = tuple(server for server in equals(3) if server.name != "a-2")
    real_turns.append(await turns(harness, 8))
    twin_turned.append(twin_turns(twin, left, 8))
    await harness.edge.add_server("a", servers[3])
    come = (*left, equals(4)[3])
    real_turns.append(await turns(harness, 12))
    twin_turned.append(twin_turns(twin, come, 12))
    for who, (_, after_leaving, after_coming) in (("HAProxy", real_turns), ("twin", twin_turned)):
        print(f"\n{who}: {Counter(after_leaving)} after a-2 left, {Counter(after_coming)} after a-4 came", end="")
        assert set(after_leaving) == {"a-1", "a-3"}
        assert all(abs(turns - 4) <= 1 for turns in Counter(after_leaving).values())
        assert set(after_coming) == {"a-1", "a-3", "a-4"}
        assert all(abs(turns - 4) <= 1 for turns in Counter(after_coming).values())


@pytest.mark.parametrize("weights", [(200, 100, 50), (100, 60, 25, 15), (256, 1), (7, 5, 3)], ids=str)
async def test_weighted_turns_are_exact_over_a_full_cycle_and_never_burst(
    harness: Harness, weights: tuple[int, ...]
) -> None:
    """Three cycles: each server has exactly its share in each, and is never more than one turn ahead of it."""
    made = await harness.servers("a", len(weights))
    servers = tuple(replace(server, weight=weight) for server, weight in zip(made, weights, strict=True))
    await harness.start(backend("a", *servers, balance=Balance(Algorithm.WEIGHTED_ROUND_ROBIN)))
    common = reduce(gcd, weights)
    cycle = sum(weights) // common
    exact = {server.name: server.weight // common for server in servers}
    real = await turns(harness, 3 * cycle)
    twin = twin_turns(Twin("weighted-round-robin"), weighted(*weights), 3 * cycle)
    for who, names in (("HAProxy", real), ("twin", twin)):
        cycles = [Counter(names[begin : begin + cycle]) for begin in range(0, 3 * cycle, cycle)]
        ahead = farthest_ahead(names, exact)
        print(f"\n{who}: cycle of {cycle} {[dict(c) for c in cycles]}, at most {ahead:.2f} turns ahead", end="")
        assert all(counted == exact for counted in cycles)
        assert ahead <= 1.0 + 1e-9


async def test_a_weight_that_changes_is_followed_within_a_cycle(harness: Harness) -> None:
    """As least-response-time and resource-based need it: from equal to 3 : 1 and back, within two turns of the twin."""
    servers = await harness.servers("a", 2)
    await harness.start(backend("a", *servers, balance=Balance(Algorithm.LEAST_RESPONSE_TIME)))
    twin = Twin("least-response-time")
    for weights in ((100, 100), (150, 50), (10, 200), (100, 100)):
        for server, weight in zip(servers, weights, strict=True):
            await harness.edge.set_weight("a", server.name, weight)
        real, held = Counter(await turns(harness, 84)), Counter(twin_turns(twin, weighted(*weights), 84))
        print(f"\nweights {weights}: HAProxy {dict(real)}, twin {dict(held)}", end="")
        assert abs(real["a-1"] - held["a-1"]) <= 2
        assert abs(real["a-1"] - 84 * weights[0] / sum(weights)) <= 2
