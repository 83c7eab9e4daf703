"""ip-hash and consistent-hash: HAProxy's shares, stability and moved keys beside those of the twins.

Which server a given key has is not held equal, nor is it promised.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import islice
from typing import Any

import aiohttp
import pytest

from cloudlet.contracts.edge import Algorithm, Balance, Server, ServerState
from cloudlet.policy.balance import Request, Servers
from cloudlet.policy.balance.consistent_hash import slots
from tests.edge.conftest import Harness, backend, server_of

from .holding import Flight, Holding
from .twins import Twin, drawing, equals, shares, weighted

KEYS = [f"user-{n}" for n in range(400)]
#: per kind of key, what of a request carries it
CARRIED: dict[str, Any] = {
    "header:X-User": lambda key: {"headers": {"X-User": key}},
    "cookie:user": lambda key: {"headers": {"Cookie": f"other=x; user={key}"}},
    "query:user": lambda key: {"path": f"/?other=x&user={key}"},
    "path": lambda key: {"path": f"/{key}?other=x"},
}
#: standard deviations of a share of 400 keys around a quarter, plus HAProxy's own 2.5 %: four of them
TOLERANCE = 0.09


async def owners(harness: Harness, kind: str) -> list[str]:
    """The server of each key at HAProxy."""
    found = dict.fromkeys(KEYS, "")
    left = iter(KEYS)

    async def work() -> None:
        for key in left:
            found[key] = await harness.name(**CARRIED[kind](key))

    await asyncio.gather(*(work() for _ in range(12)))
    return list(found.values())


def twin_owners(servers: Servers, bounded: float | None = None) -> list[str]:
    return Twin("consistent-hash", bounded).names(servers, [Request(key=key) for key in KEYS])


def moved(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    return [(old, new) for old, new in zip(before, after, strict=True) if old != new]


def hashed(servers: tuple[Server, ...], kind: str, bounded: float | None = None):
    return backend("a", *servers, balance=Balance(Algorithm.CONSISTENT_HASH, kind, bounded))


def without(servers: Servers, name: str) -> Servers:
    return tuple(server for server in servers if server.name != name)


@pytest.mark.parametrize("kind", CARRIED)
async def test_only_the_keys_of_a_leaving_server_move_and_come_back(harness: Harness, kind: str) -> None:
    """Four servers share the keys; asked again each key has its server; when one leaves just its keys move, to all
    that remain; when it comes back so do they. All that in both."""
    servers = await harness.servers("a", 4)
    await harness.start(hashed(servers, kind))
    real = [await owners(harness, kind), await owners(harness, kind)]
    await harness.edge.remove_server("a", "a-2")
    real.append(await owners(harness, kind))
    await harness.edge.add_server("a", servers[1])
    real.append(await owners(harness, kind))
    twin = [twin_owners(pool) for pool in (equals(4), equals(4), without(equals(4), "a-2"), equals(4))]
    for who, (first, again, left, back) in (("HAProxy", real), ("twin", twin)):
        went = moved(first, left)
        print(f"\n{kind}, {who}: {shares(first)}, {len(went) / len(KEYS):.1%} moved when one of 4 left", end="")
        assert all(abs(share - 0.25) < TOLERANCE for share in shares(first).values())
        assert again == back == first
        assert {old for old, _ in went} == {"a-2"}
        assert len(went) / len(KEYS) < 0.25 + TOLERANCE
        assert {new for _, new in went} == {"a-1", "a-3", "a-4"}
        assert "a-2" not in left


async def test_a_server_that_comes_takes_its_fair_share_and_moves_nothing_else(harness: Harness) -> None:
    """A fifth server takes about a fifth of the keys, all moves lead to it, in both."""
    kind = "header:X-User"
    servers = await harness.servers("a", 5)
    await harness.start(hashed(servers[:4], kind))
    before = await owners(harness, kind)
    await harness.edge.add_server("a", servers[4])
    real = moved(before, await owners(harness, kind))
    twin = moved(twin_owners(equals(4)), twin_owners(equals(5)))
    for who, went in (("HAProxy", real), ("twin", twin)):
        print(f"\n{who}: {len(went) / len(KEYS):.1%} moved when a fifth came", end="")
        assert {new for _, new in went} == {"a-5"}
        assert 0.2 - TOLERANCE < len(went) / len(KEYS) < 0.2 + TOLERANCE


async def test_a_server_that_is_down_moves_its_keys_only(harness: Harness) -> None:
    """As one that has left does; and no key is elsewhere when it is up again. The same with the twin."""
    kind = "header:X-User"
    await harness.start(hashed(await harness.servers("a", 4), kind))
    before = await owners(harness, kind)
    port = harness.upstreams[2].port
    await harness.upstreams[2].stop()
    await harness.wait_server("a", "a-3", lambda server: server.state is ServerState.DOWN, 5)
    during = await owners(harness, kind)
    await harness.upstreams[2].start(port)
    await harness.wait_server("a", "a-3", lambda server: server.state is ServerState.UP, 5)
    after = await owners(harness, kind)
    down = tuple(replace(server, available=server.name != "a-3") for server in equals(4))
    for who, first, second in (("HAProxy", before, during), ("twin", twin_owners(equals(4)), twin_owners(down))):
        went = moved(first, second)
        print(f"\n{who}: {len(went) / len(KEYS):.1%} moved while one of 4 was down", end="")
        assert {old for old, _ in went} == {"a-3"}
        assert "a-3" not in second
    assert after == before


async def test_shares_follow_the_weights(harness: Harness) -> None:
    """Weights of 200, 100 and 100 get half, a quarter and a quarter of the keys, in both."""
    made = await harness.servers("a", 3)
    await harness.start(hashed((replace(made[0], weight=200), *made[1:]), "path"))
    real, twin = shares(await owners(harness, "path")), shares(twin_owners(weighted(200, 100, 100)))
    print(f"\nHAProxy {real}, twin {twin}")
    for got in (real, twin):
        assert got["a-1"] == pytest.approx(0.5, abs=TOLERANCE)
        assert got["a-2"] == pytest.approx(0.25, abs=TOLERANCE)


async def test_requests_without_the_key_go_anywhere(harness: Harness) -> None:
    """They do not all meet on one server: each of three gets a third, within ten points, in both."""
    await harness.start(hashed(await harness.servers("a", 3), "header:X-User"))
    real = shares([await harness.name() for _ in range(600)])
    twin = shares(Twin("consistent-hash").names(equals(3), islice(drawing(), 600)))
    print(f"\nHAProxy {real}, twin {twin}")
    for got in (real, twin):
        assert all(share == pytest.approx(1 / 3, abs=0.1) for share in got.values())
        assert len(got) == 3


@pytest.fixture
async def flight(harness: Harness) -> AsyncIterator[Flight]:
    """Four servers that hold what they get, hashed by the path within 125 % of the mean."""
    upstreams = [Holding(f"a-{n}") for n in range(1, 5)]
    for upstream in upstreams:
        harness.upstreams.append(await upstream.start())
    await harness.start(hashed(tuple(map(server_of, upstreams)), "path", 1.25))
    made = Flight(harness, upstreams)
    yield made
    await made.end()


async def test_one_hot_key_never_takes_a_server_above_the_bound(flight: Flight) -> None:
    """Of 80 requests that stay, all of one key, each goes where the twin still has a slot; and the loads, the fullest
    first, are the twin's within one."""
    twin, servers = Twin("consistent-hash", 1.25), list(equals(4))
    for number in range(1, 81):
        seen = flight.seen(equals(4))
        real = await flight.send("/hot")
        assert seen[real - 1].connections < slots(seen, 1.25)[real], f"request {number}: a-{real} of {seen}"
        chosen = twin.choose(servers, Request(key="hot"))
        servers[chosen.ordinal - 1] = replace(chosen, connections=chosen.connections + 1)
        assert max(flight.connections()) <= 1.25 * number / 4 + 2
    held = sorted((server.connections for server in servers), reverse=True)
    real_loads = sorted(flight.connections(), reverse=True)
    print(f"\nHAProxy {real_loads}, twin {held}, bound {1.25 * 80 / 4:g}")
    assert real_loads == pytest.approx(held, abs=1)


async def test_the_bound_moves_no_key_while_nobody_is_above_it(harness: Harness) -> None:
    """One request at a time: every key has the server that it has without a bound, in both."""
    servers = await harness.servers("a", 4)
    await harness.start(hashed(servers, "path"))
    unbounded = [await harness.name(f"/{key}") for key in KEYS[:100]]
    await harness.edge.apply(harness.configuration(hashed(servers, "path", 1.25)))
    bounded = [await harness.name(f"/{key}") for key in KEYS[:100]]
    print(f"\nHAProxy: {len(moved(unbounded, bounded))} of 100 keys moved by the bound")
    assert bounded == unbounded
    assert twin_owners(equals(4), 1.25) == twin_owners(equals(4))


async def by_address(harness: Harness, addresses: list[str]) -> list[str]:
    """The server of each client, asked twice by each, from another port each time."""
    names = []
    for address in addresses:
        asked = set()
        for _ in range(2):
            connector = aiohttp.TCPConnector(local_addr=(address, 0))
            url = f"http://127.0.0.1:{harness.port}/"
            async with aiohttp.ClientSession(connector=connector) as client, client.get(url) as answer:
                asked.add((await answer.json())["name"])
        assert len(asked) == 1, address
        names.append(asked.pop())
    return names


async def test_an_address_keeps_its_server_and_only_those_of_a_leaving_one_move(harness: Harness) -> None:
    """A hundred clients on four servers: in both all four serve, and when one leaves just its clients move."""
    addresses = [f"127.0.{n // 20}.{n % 20 + 2}" for n in range(100)]
    await harness.start(backend("a", *await harness.servers("a", 4), balance=Balance(Algorithm.IP_HASH)))
    real = [await by_address(harness, addresses)]
    await harness.edge.remove_server("a", "a-4")
    real.append(await by_address(harness, addresses))
    clients = [Request(address=address) for address in addresses]
    twin = [Twin("ip-hash").names(pool, clients) for pool in (equals(4), without(equals(4), "a-4"))]
    for who, (before, after) in (("HAProxy", real), ("twin", twin)):
        went = moved(before, after)
        print(f"\n{who}: {shares(before)}, {len(went)} of 100 moved when one of 4 left", end="")
        assert all(abs(share - 0.25) < 0.18 for share in shares(before).values())
        assert {old for old, _ in went} == {"a-4"}
        assert Counter(before)["a-4"] == len(went)
        assert {new for _, new in went} == {"a-1", "a-2", "a-3"}
