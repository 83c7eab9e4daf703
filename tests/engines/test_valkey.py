"""What only Valkey promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from valkey.asyncio import Valkey
from valkey.exceptions import NoPermissionError

from cloudlet.contracts.secret import ADMINISTRATOR
from cloudlet.engines.registry import build

from .conftest import Rig, free_port


@pytest.fixture
def rig(rigs: Callable[[str], Rig]) -> Rig:
    return rigs("valkey")


async def settings(rig: Rig) -> dict[str, str]:
    own = rig.secrets.credential(ADMINISTRATOR, "shop-db")
    client = Valkey(port=rig.engine.port, username=own.user, password=own.password.reveal(), decode_responses=True)
    async with client:
        return await client.config_get("*")


async def test_keeps_what_it_says_in_force(rig: Rig) -> None:
    """Memory, eviction and durability are those of the file and the docstring."""
    engine = build("valkey", "shop-db", free_port(), rig.paths, rig.secrets, rig.user, memory=12_000_000)
    rig.engine = engine
    await rig.up()
    found = await settings(rig)
    expected = {
        "maxmemory": "12000000",
        "maxmemory-policy": "allkeys-lru",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "protected-mode": "yes",
        "bind": "127.0.0.1",
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    "command", ["FLUSHALL", "CONFIG GET *", "KEYS *", "SHUTDOWN", "ACL LIST", "SWAPDB 0 1", "CLIENT LIST"]
)
async def test_a_service_does_not_govern_the_server(rig: Rig, command: str) -> None:
    """What empties, stalls, shows or reconfigures the whole server is refused to a service."""
    await rig.up()
    await rig.engine.admit("orders")
    async with Valkey.from_url(rig.url("orders")) as client:
        with pytest.raises(NoPermissionError):
            await client.execute_command(*command.split())


async def test_a_service_has_what_clients_need(rig: Rig) -> None:
    """Transactions, scripts, streams, sorting, publishing and what libraries ask on connecting work."""
    await rig.up()
    await rig.engine.admit("orders")
    async with Valkey.from_url(rig.url("orders"), decode_responses=True) as client:
        await client.info()
        await client.client_setname("orders-1")
        async with client.pipeline(transaction=True) as pipeline:
            assert await pipeline.set("a", 1, px=60_000).incr("a").execute() == [True, 2]
        assert await client.eval("return redis.call('get', KEYS[1])", 1, "a") == "2"
        await client.rpush("list", 3, 1, 2)
        assert await client.sort("list") == ["1", "2", "3"]
        assert await client.xadd("stream", {"k": "v"})
        assert [key async for key in client.scan_iter("li*")] == ["list"]
        assert await client.publish("channel", "hello") == 0
        assert await client.set("lock", "me", nx=True, px=1000)


async def test_admitting_one_service_leaves_the_connection_of_another_alone(rig: Rig) -> None:
    """The same connection, by its number, goes on after the list of accounts was loaded anew."""
    await rig.up()
    await rig.engine.admit("orders")
    async with Valkey.from_url(rig.url("orders"), single_connection_client=True) as client:
        before = await client.client_id()
        await rig.engine.admit("users")
        assert await client.client_id() == before


async def test_a_full_cache_makes_room(rig: Rig) -> None:
    """Beyond its memory writes still succeed, and what was used just now is still there."""
    rig.engine = build("valkey", "shop-db", free_port(), rig.paths, rig.secrets, rig.user, memory=4_000_000)
    await rig.up()
    await rig.engine.admit("orders")
    async with Valkey.from_url(rig.url("orders"), decode_responses=True) as client:
        for number in range(100):
            assert await client.set(f"page-{number}", "x" * 100_000)
        assert await client.get("page-99") == "x" * 100_000
        assert await client.exists("page-0") == 0
