"""Slow start: the weight that HAProxy really gives a server that came, beside `policy.slow_start.ramped`."""

from __future__ import annotations

import csv
import time
from collections import Counter
from dataclasses import dataclass
from math import ceil

import pytest

from cloudlet.contracts.edge import USUAL_WEIGHT, Algorithm, Balance
from cloudlet.edge.socket import RuntimeSocket
from cloudlet.policy.slow_start import ramped
from tests.edge.conftest import Harness, backend


@dataclass
class Look:
    """`begun` and `done` seconds after the server came: HAProxy's effective weights then, and who answered sixteen
    requests in between."""

    begun: float
    done: float
    weights: tuple[int, int]
    got: Counter[str]


async def effective_weight(harness: Harness, server: str) -> int:
    """With slow start counted in, unlike the weight in the edge's statistics."""
    (path,) = (harness.paths.run / "edge").glob("[0-9]*.sock")
    rows = csv.DictReader((await RuntimeSocket(path).ask("show stat a 4 -1")).splitlines())
    return next(int(row["weight"]) for row in rows if row["svname"] == server)


async def looks(harness: Harness, server: str, came: float, last: float) -> list[Look]:
    """What happens until `last` seconds after it came."""
    made: list[Look] = []
    while not made or made[-1].done < last:
        begun, before = time.monotonic() - came, await effective_weight(harness, server)
        got = await harness.names(16, at_once=2)
        after = await effective_weight(harness, server)
        made.append(Look(begun, time.monotonic() - came, (before, after), Counter(got)))
    return made


@pytest.mark.parametrize("slow_start", [4.0, 2.5])
async def test_a_new_servers_weight_and_share_grow_as_the_twins(harness: Harness, slow_start: float) -> None:
    """At any time the weight is the twin's, give or take the second in which the server came and the twentieth of the
    time between two looks of HAProxy; and the share of the requests is that of the weight within six points."""
    servers = await harness.servers("a", 2)
    balance = Balance(Algorithm.ROUND_ROBIN)
    await harness.start(backend("a", servers[0], slow_start=slow_start, balance=balance))
    came = time.monotonic()
    await harness.edge.add_server("a", servers[1])
    seen = await looks(harness, "a-2", came, slow_start + 1.5)
    for look in seen:
        assert within_the_ramp(look, slow_start), look
    assert seen[-1].weights[1] == USUAL_WEIGHT
    for weight, got in by_weight(seen).items():
        share, wanted = got["a-2"] / got.total(), weight / (USUAL_WEIGHT + weight)
        print(
            f"\nslow start {slow_start:g} s, weight {weight}: {share:.1%} of {got.total()}, wanted {wanted:.1%}", end=""
        )
        assert share == pytest.approx(wanted, abs=0.06)


def within_the_ramp(look: Look, slow_start: float) -> bool:
    """Whether its weights are ones that the twin has within HAProxy's grain, which shows them rounded up."""
    late = 1.0 + slow_start / 20 + 0.15
    times = [
        max(0.0, look.begun - late + step / 20) for step in range(int(20 * (look.done - look.begun + late + 1)) + 1)
    ]
    return set(look.weights) <= {ceil(ramped(USUAL_WEIGHT, elapsed, slow_start)) for elapsed in times}


def by_weight(seen: list[Look]) -> dict[int, Counter[str]]:
    """The requests sent while HAProxy had that weight; those of which there are enough to tell a share."""
    got: dict[int, Counter[str]] = {}
    for look in seen:
        if look.weights[0] == look.weights[1]:
            got[look.weights[0]] = got.get(look.weights[0], Counter()) + look.got
    return {weight: names for weight, names in got.items() if names.total() >= 100}
