"""The whole way: client, edge, gateway service, the edge's internal listeners, services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web as web_server

from cloudlet.contracts.edge import Backend, Check, Route, Server
from cloudlet.contracts.gateway import GATEWAY_SERVICE, GatewayConfiguration
from cloudlet.stack.gateway import Route as RouteDesign
from tests.edge.conftest import Harness, harness

from .service import Gateway, Service, valkey

__all__ = ["harness"]

ROUTES: dict[str, dict[str, Any]] = {
    "page": {
        "path": "/page/{id}",
        "aggregate": {"calls": {"a": {"to": "web", "path": "/a/{id}"}, "b": {"to": "other", "path": "/b?{query}"}}},
    },
    "pay": {"path": "/pay/*", "to": "web", "idempotency": {"required": True}},
    "slow": {"path": "/slow/*", "to": "web", "timeout": "200ms", "fallback": {"service": "other"}},
    "plain": {"path": "/*", "to": "web"},
}


class World:
    """Instances of the gateway service behind an edge, two services behind that."""

    def __init__(self, harness: Harness, web: Service, other: Service) -> None:
        self.harness, self.web, self.other = harness, web, other
        self.gateways: list[Gateway] = []

    async def start(self, folder: Path, store: str, instances: int) -> None:
        backends, listeners, addresses = [], list(self.harness.listeners), {}
        for name, service in (("web", self.web), ("other", self.other)):
            listener = await self.harness.listen(f"internal-{name}", backend=name, internal=True)
            listeners.append(listener)
            addresses[name] = f"http://127.0.0.1:{await self.harness.port_of(listener)}"
            backends.append(backend(name, service.port))
        designs = {name: RouteDesign.model_validate({"name": name, **design}) for name, design in ROUTES.items()}
        needy = {name: design for name, design in designs.items() if design.needs_gateway}
        for number in range(instances):
            place = folder / str(number)
            place.mkdir()
            self.gateways.append(Gateway(place, GatewayConfiguration(routes=needy, services=addresses, store=store)))
        await asyncio.gather(*(asyncio.to_thread(one.start) for one in self.gateways))
        backends.append(backend(GATEWAY_SERVICE, *(one.port for one in self.gateways)))
        routes = tuple(
            Route(design.path, GATEWAY_SERVICE if name in needy else "web", name=name, design=design)
            for name, design in designs.items()
        )
        made = self.harness.configuration(*backends, routes=routes)
        await self.harness.edge.start(replace(made, listeners=tuple(listeners)))

    async def stop(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(one.kill) for one in self.gateways))


def backend(name: str, *ports: int) -> Backend:
    servers = tuple(Server(f"{name}-{n}", n, "127.0.0.1", port) for n, port in enumerate(ports, 1))
    return Backend(name, check=Check(interval=0.05), servers=servers)


@pytest.fixture
async def world(
    harness: Harness, web: Service, other: Service, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    with valkey(tmp_path) as (store, _):
        made = World(harness, web, other)
        await made.start(tmp_path, store, getattr(request, "param", 1))
        yield made
        await made.stop()


async def test_routes_that_need_it_pass_through_it(world: World) -> None:
    """Put together from both services; who asks is told to each; a client's own word about the route counts nothing."""
    seen: list[str] = []

    async def answer(request: web_server.Request) -> web_server.Response:
        seen.append(request.headers["X-Forwarded-For"] + request.headers["X-Request-Id"])
        assert "Cloudlet-Route" not in request.headers
        return web_server.json_response({"at": request.raw_path}, headers={"Cloudlet-Refused": "forged"})

    world.web.answer = world.other.answer = answer
    headers = {"Cloudlet-Route": "pay", "X-Request-Id": "id-1", "X-Forwarded-For": "192.0.2.1"}
    async with world.harness.client.get("/page/7?x=%26", headers=headers) as said:
        assert await said.json() == {"a": {"at": "/a/7"}, "b": {"at": "/b?x=%26"}}
        assert not [name for name in said.headers if name.lower().startswith("cloudlet-")]
    assert seen == ["127.0.0.1id-1"] * 2
    async with world.harness.client.get("/direct", headers={"Cloudlet-Route": "page"}) as said:
        assert await said.json() == {"at": "/direct"}


async def test_hostile_paths_reach_no_other_path(world: World) -> None:
    """Refused by the edge or by the gateway service, and no service is asked."""
    from yarl import URL

    for path in ("/page/..%2fadmin", "/page/%2e%2e", "/page/%252e%252e%252f", "/page/a%00"):
        url = URL(f"http://127.0.0.1:{world.harness.port}{path}", encoded=True)
        async with world.harness.client.get(url) as said:
            assert said.status == 400, path
            assert "cloudlet-refused" not in said.headers
    assert not [target for target in world.web.targets if target != "/"]


async def test_a_keyed_post_is_carried_out_once(world: World) -> None:
    """Sent ten times at once through the edge, it has one effect and one answer."""
    count = 0

    async def answer(request: web_server.Request) -> web_server.Response:
        nonlocal count
        if request.method == "POST":
            await request.read()
            count += 1
        return web_server.json_response({"count": count}, status=201)

    world.web.answer = answer

    async def pay() -> bytes:
        async with world.harness.client.post("/pay/1", json={"a": 1}, headers={"Idempotency-Key": "k"}) as said:
            assert said.status == 201
            return await said.read()

    assert len(set(await asyncio.gather(*(pay() for _ in range(10))))) == 1
    assert count == 1
    async with world.harness.client.post("/pay/1", json={"a": 1}) as said:
        assert said.status == 400


async def test_the_fallback_has_its_time_after_the_routes_timeout(world: World) -> None:
    """The edge does not cut the request off where the gateway service is to ask another service."""
    held = asyncio.Event()

    async def hang(request: web_server.Request) -> web_server.Response:
        if request.path.startswith("/slow"):
            await held.wait()
        return web_server.Response()

    world.web.answer = hang
    world.other.says({"from": "other"})
    async with world.harness.client.get("/slow/1") as said:
        assert (said.status, said.headers["x-fallback"]) == (200, "service")
    held.set()


@pytest.mark.parametrize("world", [2], indirect=True)
async def test_no_read_is_lost_when_an_instance_dies(world: World) -> None:
    """One of two is killed under load: every GET is answered."""
    left = iter(range(400))
    statuses: set[int] = set()

    async def work() -> None:
        for number in left:
            if number == 100:
                world.gateways[0].kill()
            async with world.harness.client.get("/page/1") as said:
                statuses.add(said.status)

    await asyncio.gather(*(work() for _ in range(8)))
    assert statuses == {200}
