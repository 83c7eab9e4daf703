"""The handlers of routes with `grpc`: JSON over HTTP in front, a gRPC service behind the edge's internal listener."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from cloudlet.contracts.gateway import GatewayConfiguration
from cloudlet.errors import OperatorError
from cloudlet.gateway.grpc.binding import Binding, Bound, bindings, bound
from cloudlet.gateway.grpc.calls import Call
from cloudlet.gateway.grpc.channels import Channels
from cloudlet.gateway.grpc.reflection import reflected
from cloudlet.gateway.grpc.schema import Schema, SchemaError, from_set
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Handler, Request
from cloudlet.gateway.response import Response
from cloudlet.stack.gateway import Route

#: seconds that what a server said of itself counts: a new version of it may say something else
FRESH = 60.0
#: seconds between two tries while it does not say
PAUSE = 1.0
_STREAMED = ("application/x-ndjson", "application/jsonl", "application/json-lines")


@dataclass(frozen=True, slots=True)
class Known:
    """A service, and how requests are bound to its methods."""

    schema: Schema
    bindings: tuple[Binding, ...]


class Grpc:
    """One per process. `source` is what the pipelines ask for."""

    def __init__(self, configuration: GatewayConfiguration) -> None:
        self._services = configuration.services
        self._channels = Channels(configuration.services)

    def source(self, route: Route) -> Handler:
        """Raises OperatorError for descriptors that cannot be used."""
        assert route.grpc is not None, "only gRPC routes come here"
        service = route.to[0].service
        known = self._known(route, service)
        timeout = route.timeout.answer if route.timeout else None

        async def handle(request: Request) -> Response:
            found = await known()
            chosen = _chosen(found, request)
            _check_content(request, streamed=chosen.binding.method.client_streaming)
            lease = self._channels.take(service)
            return await Call(request, chosen, found.schema.pool, lease, timeout).answer()

        return handle

    def _known(self, route: Route, service: str) -> Callable[[], Awaitable[Known]]:
        assert route.grpc is not None, "only gRPC routes come here"
        if route.grpc.descriptors is None:
            return Reflected(self._channels, service, route).known
        try:
            schema = from_set(route.grpc.descriptors.read_bytes(), route.grpc.service)
            fixed = Known(schema, bindings(schema, route))
        except (SchemaError, OSError) as error:
            raise OperatorError(f"the route {route.path}: {route.grpc.descriptors}: {error}") from error

        async def known() -> Known:
            return fixed

        return known

    async def stop(self) -> None:
        await self._channels.close()


class Reflected:
    """What the server says of itself, asked when it is first needed, and again every minute. While it cannot be asked,
    what it said last counts."""

    def __init__(
        self, channels: Channels, service: str, route: Route, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._channels, self._service, self._route, self._clock = channels, service, route, clock
        self._known: Known | None = None
        self._asked = float("-inf")
        self._failure: Refusal | None = None
        self._turn = asyncio.Lock()

    async def known(self) -> Known:
        """Raises Refusal while nothing is known."""
        async with self._turn:
            if self._clock() - self._asked >= (FRESH if self._known else PAUSE):
                await self._ask()
        if self._known is None:
            assert self._failure is not None, "it was asked"
            raise self._failure
        return self._known

    async def _ask(self) -> None:
        assert self._route.grpc is not None, "only gRPC routes come here"
        lease = self._channels.take(self._service)
        try:
            schema = await reflected(lease.channel, self._route.grpc.service)
            self._known = Known(schema, bindings(schema, self._route))
        except SchemaError as error:
            self._failure = Refusal(502, f"the service does not say what it can do: {error}")
        except grpc.aio.AioRpcError as error:
            status = 503 if error.code() is grpc.StatusCode.UNAVAILABLE else 502
            self._failure = Refusal(status, f"the service does not say what it can do: {error.code().name}")
        finally:
            lease.release()
            self._asked = self._clock()


def _chosen(known: Known, request: Request) -> Bound:
    found = bound(known.bindings, request.method, request.path)
    if isinstance(found, Bound):
        return found
    if not found:
        raise Refusal(404, "no gRPC method has this path", reason="grpc-method")
    allow = ", ".join(sorted(found))
    raise Refusal(405, f"this path takes {allow}", reason="grpc-method", headers={"allow": allow})


def _check_content(request: Request, *, streamed: bool) -> None:
    """A body is JSON and says so: pages of other sites can send other kinds without being asked (CORS)."""
    if not request.body.streamed and not request.body.content:
        return
    kind = request.headers.get("content-type").partition(";")[0].strip().lower()
    accepted = kind == "application/json" or kind.endswith("+json") or (streamed and kind in _STREAMED)
    if not accepted:
        wanted = "application/x-ndjson" if streamed else "application/json"
        raise Refusal(415, f"the body must be {wanted}", reason="content-type")
