"""An edge whose routes and gateway are given as the file has them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudlet.contracts.edge import Backend, EdgeConfiguration, Route
from cloudlet.control.topology import route as route_of
from cloudlet.stack.gateway import Gateway
from cloudlet.stack.gateway import Route as RouteDesign

from .conftest import Harness, backend
from .told import Told


def route(path: str = "/*", to: str = "a", **settings: Any) -> Route:
    """A route to the backend `a`."""
    return route_of(RouteDesign.model_validate({"path": path, "to": to, **settings}))


def shaped(harness: Harness, *backends: Backend, routes: tuple[Route, ...] = (), **settings: Any) -> EdgeConfiguration:
    """`settings` are those of the gateway, `log` the share and the slowness of what is logged."""
    log = settings.pop("log", (0.0, 1.0))
    plain = harness.configuration(*backends, routes=routes or (route(),))
    gateway = Gateway.model_validate(settings)
    return replace(plain, gateway=gateway, log_sample=log[0], log_slow=log[1])


async def start(harness: Harness, *routes: Route, count: int = 2, **settings: Any) -> None:
    """With `count` upstreams `a-1`, `a-2` …"""
    a = backend("a", *await harness.servers("a", count))
    await harness.edge.start(shaped(harness, a, routes=routes, **settings))


def log_lines(harness: Harness) -> list[dict[str, Any]]:
    """The access log so far."""
    path: Path = harness.paths.log("edge")
    if not path.exists():
        return []
    # a line of a test's supervisor begins with nothing, one of the keeper with its time
    lines = [line[line.find("{") :] for line in path.read_text(errors="replace").splitlines() if '{"request"' in line]
    return [json.loads(line) for line in lines]


async def start_told(harness: Harness, told: Told, *routes: Route, **settings: Any) -> None:
    """With one upstream twice, so that nothing passes through the door unless it must."""
    a = backend("a", told.server("a-1"), told.server("a-2"))
    await harness.edge.start(shaped(harness, a, routes=routes, **settings))
