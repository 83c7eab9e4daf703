"""The control API's part for routes.

GET /v1/routes    every route in the order of precedence, with its counts
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

from cloudlet.control.routes import route_statuses

if TYPE_CHECKING:
    from cloudlet.control.system import System


def route_routes(system: System) -> list[web.RouteDef]:
    async def listed(_: web.Request) -> web.Response:
        found = route_statuses(system.desired.stack, await system.route_statistics())
        return web.json_response({"routes": [asdict(item) for item in found]})

    return [web.get("/v1/routes", listed)]
