"""An edge with a guard, and requests that show credentials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cloudlet.contracts.edge import Route
from cloudlet.contracts.guard import Guard, JwtIssuer
from cloudlet.stack.gateway import Route as RouteDesign

from . import tokens
from .conftest import Harness, backend, server_of

ISSUER = "https://issuer.test"


@dataclass(frozen=True, slots=True)
class Answer:
    """`seen` is what the service was sent, by lower-case header; empty when the edge answered by itself."""

    status: int
    headers: Mapping[str, list[str]]
    body: dict[str, Any]
    seen: Mapping[str, list[str]]

    @property
    def detail(self) -> str:
        return str(self.body.get("detail", ""))


def issuer(*keys: Any, **changes: Any) -> JwtIssuer:
    return replace(JwtIssuer(ISSUER, "shop", keys or (tokens.key("HS256"),), leeway=0.0), **changes)


def route(path: str, require: Mapping[str, Any] | None = None, **more: Any) -> Route:
    design = RouteDesign(path=path, to="a", require=require, **more)
    return Route(path, "a", design=design)


async def guard(harness: Harness, given: Guard, *routes: Route, threads: int = 2) -> None:
    """Start the edge, or change it, with these routes to one service."""
    if not harness.upstreams:
        await harness.servers("a", 2)
    servers = [server_of(upstream) for upstream in harness.upstreams]
    configuration = replace(harness.configuration(backend("a", *servers), routes=routes), guard=given, threads=threads)
    if harness.edge.pid is None:
        await harness.edge.start(configuration)
    else:
        await harness.edge.apply(configuration)


async def ask(
    harness: Harness, path: str = "/", headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Answer:
    """On a connection of its own: one from before a succession is answered once more by the process of before."""
    said = {"Connection": "close", **(headers or {})}
    async with harness.client.request(method, path, headers=said, allow_redirects=False) as answer:
        text = await answer.text()
        names = {name.lower() for name in answer.headers}
        said = {name: answer.headers.getall(name) for name in names}
        body = json.loads(text) if text.startswith("{") else {}
        seen: dict[str, list[str]] = {}
        for name, value in body.get("headers", []):
            seen.setdefault(name, []).append(value)
        return Answer(answer.status, said, body, seen)


async def bearer(harness: Harness, token: str, path: str = "/", **headers: str) -> Answer:
    return await ask(harness, path, {"Authorization": f"Bearer {token}", **headers})
