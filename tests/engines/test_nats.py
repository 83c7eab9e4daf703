"""What only NATS promises."""

from __future__ import annotations

from collections.abc import Callable

import nats
import pytest
from nats.js.api import ConsumerConfig, DeliverPolicy

from cloudlet.contracts.secret import ADMINISTRATOR
from cloudlet.engines.nats_connection import NatsConnection, NatsRefused

from .conftest import Rig


@pytest.fixture
def rig(rigs: Callable[[str], Rig]) -> Rig:
    return rigs("nats")


async def test_replays_every_acknowledged_event_after_a_crash(rig: Rig) -> None:
    """A hundred events, SIGKILL, and a new consumer reads them all, in order, from the beginning."""
    running = await rig.up()
    await rig.engine.admit("orders")
    async with await nats.connect(rig.url("orders"), allow_reconnect=False) as client:
        stream = client.jetstream()
        await stream.add_stream(name="events", subjects=["events"])
        for number in range(100):
            await stream.publish("events", str(number).encode())
    running.kill()
    await rig.start()
    async with await nats.connect(rig.url("orders"), allow_reconnect=False) as client:
        everything = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
        reader = await client.jetstream().pull_subscribe("events", config=everything)
        messages = await reader.fetch(100, timeout=10)
    assert [int(message.data) for message in messages] == list(range(100))


async def test_admitting_one_service_leaves_the_connection_of_another_alone(rig: Rig) -> None:
    """The connection and its subscription go on after the configuration was read again."""
    await rig.up()
    await rig.engine.admit("orders")
    async with await nats.connect(rig.url("orders"), allow_reconnect=False) as client:
        subscription = await client.subscribe("greetings")
        await client.flush()
        await rig.engine.admit("users")
        async with await nats.connect(rig.url("users"), allow_reconnect=False) as other:
            await other.publish("greetings", b"hello")
            assert (await subscription.next_msg(timeout=5)).data == b"hello"


async def test_a_service_does_not_govern_the_server(rig: Rig) -> None:
    """The subjects of the system account answer nobody but cloudlet's own user there."""
    await rig.up()
    await rig.engine.admit("orders")
    credential = rig.secrets.credential("orders", "shop-db")
    async with await NatsConnection.open("127.0.0.1", rig.engine.port, credential) as connection:
        with pytest.raises(NatsRefused, match="nobody answers"):
            await connection.request(f"$SYS.REQ.SERVER.{connection.server['server_id']}.RELOAD")


async def test_the_connection_tells_jetstream_from_silence(rig: Rig) -> None:
    """The answer about the account is JetStream's own, and a question that nobody takes fails at once."""
    await rig.up()
    credential = rig.secrets.credential(ADMINISTRATOR, "shop-db")
    async with await NatsConnection.open("127.0.0.1", rig.engine.port, credential) as connection:
        assert (await connection.request("$JS.API.INFO"))["limits"]["max_streams"] == -1
        with pytest.raises(NatsRefused, match=r"nobody answers nobody\.home"):
            await connection.request("nobody.home")


async def test_syncs_every_write(rig: Rig) -> None:
    """The server says that it syncs always, and has no monitoring port."""
    await rig.up()
    system = rig.secrets.credential(f"{ADMINISTRATOR}_system", "shop-db")
    async with await NatsConnection.open("127.0.0.1", rig.engine.port, system) as connection:
        answer = await connection.request(f"$SYS.REQ.SERVER.{connection.server['server_id']}.VARZ")
    assert answer["data"]["jetstream"]["config"]["sync_always"] is True
    assert answer["data"].get("http_port", 0) == 0
