"""Each balance algorithm by the distribution it really has."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aiohttp

from cloudlet.contracts.edge import Algorithm, Balance

from .conftest import Harness, backend


async def _by_key(harness: Harness, count: int, header: str = "X-User") -> dict[int, str]:
    """Which server each of `count` keys goes to."""
    names: dict[int, str] = {}
    left = iter(range(count))

    async def work() -> None:
        for key in left:
            names[key] = await harness.name(headers={header: f"user-{key}"})

    await asyncio.gather(*(work() for _ in range(16)))
    return names


def _shares(names: dict[int, str]) -> dict[str, float]:
    found = sorted(set(names.values()))
    return {name: sum(n == name for n in names.values()) / len(names) for name in found}


async def test_round_robin_is_even(harness: Harness) -> None:
    """Every server gets the same."""
    balance = Balance(Algorithm.ROUND_ROBIN)
    await harness.start(backend("a", *await harness.servers("a", 3), balance=balance))
    counts = await harness.names(300)
    print(counts)
    assert all(95 <= count <= 105 for count in counts.values())
    assert len(counts) == 3


async def test_weights_are_in_proportion(harness: Harness) -> None:
    """Weights 200, 100 and 50 get four, two and one parts, also after they changed at run time."""
    one, two, three = await harness.servers("a", 3)
    servers = replace(one, weight=200), two, replace(three, weight=50)
    await harness.start(backend("a", *servers, balance=Balance(Algorithm.WEIGHTED_ROUND_ROBIN)))
    counts = await harness.names(700)
    print(counts)
    assert [round(counts[f"a-{n}"] / 100) for n in (1, 2, 3)] == [4, 2, 1]
    await harness.edge.set_weight("a", "a-1", 50)
    counts = await harness.names(400)
    print("after a-1 went to weight 50:", counts)
    assert [round(counts[f"a-{n}"] / 100) for n in (1, 2, 3)] == [1, 2, 1]


async def test_least_connections_avoids_a_slow_server(harness: Harness) -> None:
    """A server that answers slowly keeps its connections and gets few new ones."""
    servers = await harness.servers("a", 3)
    harness.upstreams[0].delay = 0.2
    await harness.start(backend("a", *servers, balance=Balance(Algorithm.LEAST_CONNECTIONS)))
    counts = await harness.names(400, at_once=12)
    print(counts)
    assert counts["a-1"] < 40


async def test_random_takes_the_less_loaded_of_two(harness: Harness) -> None:
    """Nearly even between equals, and a slow server gets less than its share."""
    servers = await harness.servers("a", 4)
    await harness.start(backend("a", *servers, balance=Balance(Algorithm.RANDOM)))
    even = await harness.names(800)
    harness.upstreams[0].delay = 0.1
    slow = await harness.names(400, at_once=12)
    print("equal:", even, "a-1 slow:", slow)
    assert all(120 <= count <= 280 for count in even.values())
    assert slow["a-1"] < 70


async def test_a_consistent_hash_is_stable_and_moves_a_fair_share(harness: Harness) -> None:
    """A key stays with its server over a succession; when a server leaves only its keys move, and they come back."""
    servers = await harness.servers("a", 4)
    hashed = backend("a", *servers, balance=Balance(Algorithm.CONSISTENT_HASH, "header:X-User"))
    await harness.start(hashed)
    before = await _by_key(harness, 800)
    print("shares:", _shares(before))
    assert all(0.15 < share < 0.36 for share in _shares(before).values())
    await harness.edge.apply(harness.configuration(replace(hashed, timeout=31.0)))
    assert await _by_key(harness, 800) == before
    await harness.edge.remove_server("a", "a-2")
    without = await _by_key(harness, 800)
    moved = {key for key in before if before[key] != without[key]}
    print(f"{len(moved)} of 800 keys moved when one of 4 servers left")
    assert moved == {key for key in before if before[key] == "a-2"}
    await harness.edge.add_server("a", servers[1])
    assert await _by_key(harness, 800) == before


async def test_a_bounded_hash_passes_on_what_is_too_much(harness: Harness) -> None:
    """One hot key does not fill one server when the load is bounded."""
    servers = await harness.servers("a", 4, delay=0.02)
    balance = Balance(Algorithm.CONSISTENT_HASH, "path", bounded=1.25)
    await harness.start(backend("a", *servers, balance=balance))
    counts = await harness.names(400, path="/hot", at_once=40)
    print(counts)
    assert max(counts.values()) < 200
    assert len(counts) == 4


async def test_hash_keys_of_every_kind(harness: Harness) -> None:
    """Header, cookie, query and path each decide alone."""
    servers = await harness.servers("a", 4)
    for key, requests in (
        ("cookie:user", [{"headers": {"Cookie": f"user=u{n}"}} for n in range(40)]),
        ("query:user", [{"path": f"/?user=u{n}"} for n in range(40)]),
        ("path", [{"path": f"/u{n}"} for n in range(40)]),
    ):
        hashed = backend("a", *servers, balance=Balance(Algorithm.CONSISTENT_HASH, key))
        if harness.edge.pid is None:
            await harness.start(hashed)
        else:
            await harness.edge.apply(harness.configuration(hashed))
        first = [await harness.name(**request) for request in requests]
        assert [await harness.name(**request) for request in requests] == first
        assert len(set(first)) == 4, key


async def test_ip_hash_is_by_the_client(harness: Harness) -> None:
    """One address always reaches the same server, many reach all."""
    await harness.start(backend("a", *await harness.servers("a", 4), balance=Balance(Algorithm.IP_HASH)))
    seen = {}
    for n in range(2, 62):
        connector = aiohttp.TCPConnector(local_addr=(f"127.0.0.{n}", 0))
        async with aiohttp.ClientSession(f"http://127.0.0.1:{harness.port}", connector=connector) as client:
            names = set()
            for _ in range(2):
                async with client.get("/") as answer:
                    names.add((await answer.json())["name"])
            assert len(names) == 1
            seen[n] = names.pop()
    print(_shares(seen))
    assert len(set(seen.values())) == 4


async def test_a_sticky_client_stays(harness: Harness) -> None:
    """Over a succession, a crash and a restart of its instance at another port; elsewhere when that is gone."""
    servers = await harness.servers("a", 3)
    sticky = backend("a", *servers[:2], sticky_cookie="SRV", balance=Balance(Algorithm.ROUND_ROBIN))
    await harness.start(sticky)
    await harness.edge.add_server("a", servers[2])
    async with harness.client.get("/") as answer:
        cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    mine = cookie.partition("=")[2].partition(";")[0]
    headers = {"Cookie": f"SRV={mine}"}
    for n in range(3):
        headers = {"Cookie": f"SRV=a-{n + 1}"}
        assert {await harness.name(headers=headers) for _ in range(10)} == {f"a-{n + 1}"}
    async with harness.client.get("/", headers=headers) as answer:
        assert "Set-Cookie" not in answer.headers
    changed = replace(sticky, servers=servers, timeout=31.0)
    await harness.edge.apply(harness.configuration(changed))
    assert {await harness.name(headers=headers) for _ in range(10)} == {"a-3"}
    again = await harness.upstream("a-3")
    await harness.edge.remove_server("a", "a-3")
    assert {await harness.name(headers=headers) for _ in range(10)} == {"a-1", "a-2"}
    await harness.edge.add_server("a", replace(servers[2], port=again.port))
    assert {await harness.name(headers=headers) for _ in range(10)} == {"a-3"}
    assert again.requests == 10
