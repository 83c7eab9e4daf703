"""Lists of addresses at the real edge: who may ask by where from, and lists exchanged under way."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudlet.contracts.edge import Listener, Route
from cloudlet.contracts.guard import Guard
from cloudlet.stack.gateway import Gateway

from . import raw
from .conftest import Harness, backend
from .guarding import route

FILE = Path("/lists/bad.txt")


async def apply(harness: Harness, *routes: Route, guard: Guard | None = None, **gateway: Any) -> str:
    """How the edge was brought there."""
    if not harness.upstreams:
        await harness.servers("a", 2)
    from .conftest import server_of

    servers = [server_of(upstream) for upstream in harness.upstreams]
    configuration = harness.configuration(backend("a", *servers), routes=routes or (route("/*"),))
    configuration = replace(configuration, gateway=Gateway(**gateway), guard=guard)
    applied = await (harness.edge.start if harness.edge.pid is None else harness.edge.apply)(configuration)
    return str(applied.how)


async def status(harness: Harness, path: str = "/", *headers: str, host: str = "127.0.0.1") -> int:
    return (await raw.send(harness.port, raw.get(path, *headers), host=host))[0]


async def test_a_denied_address_gets_403_and_says_nothing_else(harness: Harness) -> None:
    """Whatever it says about itself in headers; an address next to the network may ask."""
    await apply(harness, deny=["127.0.0.1"])
    assert await status(harness) == 403
    for header in ("X-Forwarded-For: 10.0.0.1", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1"):
        assert await status(harness, "/", header) == 403
    await apply(harness, deny=["127.0.0.2/31", "10.0.0.0/8", "2001:db8::/32"])
    assert await status(harness) == 200


async def test_only_allowed_addresses_may_ask(harness: Harness) -> None:
    """Being on the list is needed, and being denied wins."""
    await apply(harness, allow=["10.0.0.0/8"])
    assert await status(harness) == 403
    await apply(harness, allow=["10.0.0.0/8", "127.0.0.0/8"])
    assert await status(harness) == 200
    await apply(harness, allow=["127.0.0.0/8"], deny=["127.0.0.1"])
    assert await status(harness) == 403


async def test_lists_of_a_route_bind_that_route(harness: Harness) -> None:
    """Neighbours are not touched; the gateway's list and the route's own hold together."""
    routes = (
        route("/inside/*", allow=["10.0.0.0/8"]),
        route("/inside-too/*", allow=["10.0.0.0/8"]),
        route("/here/*", allow=["127.0.0.1"]),
        route("/not-here/*", deny=["127.0.0.0/8"]),
        route("/*"),
    )
    await apply(harness, *routes)
    found = {
        path: await status(harness, path) for path in ("/inside/x", "/inside-too/x", "/here/x", "/not-here/x", "/x")
    }
    assert found == {"/inside/x": 403, "/inside-too/x": 403, "/here/x": 200, "/not-here/x": 403, "/x": 200}
    assert await status(harness, "/%69nside/x") == 403
    assert await status(harness, "//inside/x") == 403
    await apply(harness, *routes, deny=["127.0.0.1"])
    assert await status(harness, "/here/x") == 403


async def test_ipv6_and_ipv4_within_it(harness: Harness) -> None:
    """`::1` is an address of its own; IPv4 that comes by a socket of both is found as IPv4, however it is written."""
    held = await harness.supervisor.listen("gateway-http@both", "::", 0)
    harness.listeners = (*harness.listeners, Listener(held.name, held.descriptor))

    async def both(host: str) -> int:
        return (await raw.send(held.port, raw.get("/"), host=host))[0]

    await apply(harness, deny=["::1"])
    assert (await both("::1"), await status(harness)) == (403, 200)
    await apply(harness, deny=["::ffff:127.0.0.0/104"])
    assert (await both("::1"), await status(harness)) == (200, 403)
    await apply(harness, allow=["::/64"])
    assert await both("::1") == 200
    await apply(harness, allow=["2001:db8::/32"])
    assert await both("::1") == 403


async def test_ten_thousand_addresses_change_over_the_socket(harness: Harness) -> None:
    """A list of 10,000 comes and goes without a reload; the longest prefix is found among them."""
    listed = [str(ipaddress.ip_network((0x0A000000 + n * 512, 24))) for n in range(5000)]
    listed += [f"2001:db8:{n:x}::/48" for n in range(5000)]
    few = Guard(networks={str(FILE): ("10.0.0.0/8",)})
    many = Guard(networks={str(FILE): (*listed, "127.0.0.1/32")})
    await apply(harness, guard=few, deny={"file": FILE})
    pid = harness.edge.pid
    assert await status(harness) == 200
    began = time.monotonic()
    assert await apply(harness, guard=many, deny={"file": FILE}) == "over-the-socket"
    took = time.monotonic() - began
    assert await status(harness) == 403 and harness.edge.pid == pid
    assert await apply(harness, guard=few, deny={"file": FILE}) == "over-the-socket"
    assert await status(harness) == 200
    print(f"10,001 entries applied in {took * 1000:.0f} ms")
    assert took < 5
