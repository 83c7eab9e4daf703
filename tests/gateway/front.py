"""The whole way: a real edge, the gateway service as a process behind it, and what it asks behind the edge's internal
listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudlet.contracts.edge import Backend, Check, Listener, Route, Server
from cloudlet.contracts.gateway import GATEWAY_SERVICE, GatewayConfiguration
from cloudlet.contracts.guard import Guard
from cloudlet.stack.gateway import Route as RouteDesign
from tests.edge.conftest import Harness

from .service import Gateway


def designed(path: str, to: str = GATEWAY_SERVICE, **design: Any) -> RouteDesign:
    return RouteDesign.model_validate({"path": path, "to": to, **design})


class Front:
    """`services` are addresses of gRPC servers by name."""

    def __init__(self, harness: Harness, folder: Path) -> None:
        self.harness, self._folder = harness, folder
        self.gateway: Gateway | None = None

    async def start(
        self,
        configuration: GatewayConfiguration,
        designs: tuple[RouteDesign, ...],
        services: Mapping[str, tuple[int, ...]] | None = None,
        guard: Guard | None = None,
    ) -> None:
        """`guard` is completed by where to ask."""
        backends, listeners = [], list(self.harness.listeners)
        addresses: dict[str, str] = {}
        for name, ports in (services or {}).items():
            servers = tuple(Server(f"{name}-{n}", n, "127.0.0.1", port) for n, port in enumerate(ports, 1))
            backends.append(Backend(name, http2=True, check=Check(interval=0.05), servers=servers))
            listener = await self._internal(name, listeners)
            addresses[name] = f"http://127.0.0.1:{await self.harness.port_of(listener)}"
        routes = tuple(
            Route(item.path, GATEWAY_SERVICE if item.needs_gateway else item.to[0].service, design=item)
            for item in designs
        )
        by_label = {route.label: route.design for route in routes if route.design and route.design.needs_gateway}
        made = Gateway(self._folder, replace(configuration, routes=by_label, services=addresses))
        self.gateway = await asyncio.to_thread(made.start)
        own = Server("cloudlet-gateway-1", 1, "127.0.0.1", self.gateway.port)
        backends.append(Backend(GATEWAY_SERVICE, check=Check(interval=0.05), servers=(own,)))
        asked = await self._internal(GATEWAY_SERVICE, listeners)
        if guard is not None:
            guard = replace(guard, ask=f"127.0.0.1:{await self.harness.port_of(asked)}")
        if self.harness.upstreams:
            servers = tuple(
                Server(item.name, n, item.host, item.port) for n, item in enumerate(self.harness.upstreams, 1)
            )
            backends.append(Backend("a", check=Check(interval=0.05), servers=servers))
        edge = self.harness.configuration(*backends, routes=routes)
        await self.harness.edge.start(replace(edge, listeners=tuple(listeners), guard=guard))

    async def _internal(self, name: str, listeners: list[Listener]) -> Listener:
        listener = await self.harness.listen(f"internal-{name}", backend=name, internal=True)
        listeners.append(listener)
        return listener

    async def stop(self) -> None:
        if self.gateway is not None:
            await asyncio.to_thread(self.gateway.stop)
