"""Which handler takes a request: a path of cloudlet's own, or the route that the edge names.

    application = Application(configuration)
    application.add("/.cloudlet/signin/", handler)       # handler: async (Request) -> Response
    application.on_start(start); application.on_stop(stop)

A handler raises Refusal for what it refuses. `Cloudlet-Route` is the edge's word (a client's own is stripped there); a
label that is no route of the file's belongs to a path of cloudlet's own, which the edge routes here like any other.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from cloudlet.contracts.gateway import OWN_PATHS, GatewayConfiguration
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Handler, Request
from cloudlet.gateway.response import Response, TooLarge

ROUTE = "cloudlet-route"
HEALTH = f"{OWN_PATHS}health"
Hook = Callable[[], Awaitable[None]]
log = logging.getLogger("cloudlet.gateway")


class Application:
    """Answers requests. Construct, add handlers and routes, start, handle, stop."""

    def __init__(self, configuration: GatewayConfiguration) -> None:
        self.configuration = configuration
        self.handlers: list[tuple[str, Handler]] = []
        self.routes: dict[str, Handler] = {}
        self._start: list[Hook] = []
        self._stop: list[Hook] = []
        self.ready = False

    def add(self, prefix: str, handler: Handler) -> None:
        """Everything whose path begins so goes to the handler; the longest prefix wins."""
        self.handlers.append((prefix, handler))
        self.handlers.sort(key=lambda item: -len(item[0]))

    def add_routes(self, routes: Mapping[str, Handler]) -> None:
        self.routes.update(routes)

    def on_start(self, hook: Hook) -> None:
        self._start.append(hook)

    def on_stop(self, hook: Hook) -> None:
        """Hooks run in the reverse order of their being added."""
        self._stop.insert(0, hook)

    async def start(self) -> None:
        for hook in self._start:
            await hook()
        self.ready = True

    async def stop(self) -> None:
        self.ready = False
        for hook in self._stop:
            await hook()

    async def handle(self, request: Request) -> Response:
        """Never raises but for a client that is gone."""
        try:
            return await self._handler(request)(request)
        except Refusal as refusal:
            return refusal.response()
        except TooLarge as error:
            return Refusal(502, f"the service gave {error}, which this route cannot look into").response()
        except ConnectionResetError:
            raise
        except Exception:
            log.exception("a bug: %s %s (route %s)", request.method, request.path, request.label or "none")
            return Refusal(500, "the gateway failed on this request").response()

    def _handler(self, request: Request) -> Handler:
        routed = self.routes.get(request.label) if request.label else None
        if routed is not None:
            return routed
        if request.path == HEALTH:
            return self._health
        for prefix, handler in self.handlers:
            if request.path.startswith(prefix):
                return handler
        raise Refusal(404, "the gateway service knows no such route", reason="no-route")

    async def _health(self, request: Request) -> Response:
        return Response(200 if self.ready else 503)
