"""What the edge is asked to do, in its own words and nobody's configuration syntax.

Parts give fragments of these types; only `edge/` renders them. A *backend* is one balanced group of servers: the
instances of a service, or an engine. A *server* is one address in it and carries its instance's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from cloudlet.contracts.guard import Guard
from cloudlet.contracts.limits import LimitStore
from cloudlet.stack.gateway import Gateway
from cloudlet.stack.gateway import Route as RouteDesign
from cloudlet.stack.service import Breaker

#: The weight of an ordinary server: fine enough that policies can shift it by a percent, and HAProxy's limit is 256.
USUAL_WEIGHT = 100
_NO_GATEWAY = Gateway()


class Algorithm(StrEnum):
    ROUND_ROBIN = "round-robin"
    WEIGHTED_ROUND_ROBIN = "weighted-round-robin"
    LEAST_CONNECTIONS = "least-connections"
    WEIGHTED_LEAST_CONNECTIONS = "weighted-least-connections"
    IP_HASH = "ip-hash"
    CONSISTENT_HASH = "consistent-hash"
    LEAST_RESPONSE_TIME = "least-response-time"
    RANDOM = "random"
    RESOURCE_BASED = "resource-based"


@dataclass(frozen=True, slots=True)
class Balance:
    """`key` is for consistent-hash: `header:NAME`, `cookie:NAME`, `query:NAME` or `path`; `bounded` the share of
    the mean load at which a server passes requests on (1.25), None for no bound."""

    algorithm: Algorithm = Algorithm.LEAST_CONNECTIONS
    key: str | None = None
    bounded: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """The active check, seconds throughout. `path` None is a TCP connect; `expect` the accepted statuses as ranges."""

    path: str | None = None
    interval: float = 1.0
    timeout: float = 1.0
    rise: int = 1
    fall: int = 3
    expect: tuple[tuple[int, int], ...] = ((200, 399),)


@dataclass(frozen=True, slots=True)
class Server:
    """One address of a backend. `ordinal` (1, 2, …) is its place in hashing and survives a restart."""

    name: str
    ordinal: int
    address: str
    port: int
    weight: int = USUAL_WEIGHT


@dataclass(frozen=True, slots=True)
class Backend:
    """A balanced group. Times in seconds.

    `mode` is `http` or `tcp`; `http2` speaks HTTP/2 in clear to the servers (gRPC). `concurrency` is the requests
    one server works on at once, 0 for no limit; more wait for `wait` seconds, at most `wait_at_most` of them, then
    503 with Retry-After. `fallback` is a backend that answers when no server here is up (`backup:` in the file).
    """

    name: str
    mode: str = "http"
    http2: bool = False
    balance: Balance = Balance()
    check: Check | None = Check()
    concurrency: int = 0
    wait: float = 10.0
    wait_at_most: int = 1000
    sticky_cookie: str | None = None
    slow_start: float = 0.0
    timeout: float = 30.0
    retries: int = 3
    #: repeats as a share of the requests of the last ten seconds; None for as many as `retries` makes
    retry_budget: float | None = None
    fallback: str | None = None
    breaker: Breaker | None = None
    servers: tuple[Server, ...] = ()


@dataclass(frozen=True, slots=True)
class Listener:
    """An address the edge answers on, by the name and descriptor of the socket that the keeper holds.

    With `backend` everything goes there (internal listeners, TCP listeners); without, requests follow the routes.
    `certificates` is a folder of PEM files (certificate chain and key together); the first by name is the default.
    """

    socket: str
    descriptor: int
    mode: str = "http"
    backend: str | None = None
    certificates: Path | None = None
    #: an internal listener trusts the forwarding headers that it is given, a public one strips them
    internal: bool = False
    #: the authorities (PEM) whose client certificates are taken, where the listener asks for them
    client_authorities: Path | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Requests for `host` (None: any) and `path` go to `backend`, or by weight to one of `targets`; to none where
    the edge answers by itself. `design` is what the file says of the route; None is a plain one."""

    path: str
    backend: str = ""
    host: str | None = None
    #: as maps, logs and metrics call it; `label` makes one
    name: str = ""
    design: RouteDesign | None = None
    #: (backend, weight)
    targets: tuple[tuple[str, int], ...] = ()

    #: the bytes of `design.static.file` in base64: reading them is not the edge's
    content: str = ""

    @property
    def label(self) -> str:
        """Its name, or method, host, path and conditions: `GET,POST:api.shop.localhost/v1/orders/{id}?x-version:2`,
        without spaces and never twice."""
        if self.name:
            return self.name
        methods, match = (",".join(self.design.methods), self.design.match) if self.design else ("", None)
        place = f"{methods}:{self.host or ''}{self.path}" if methods else f"{self.host or ''}{self.path}"
        if match is None or not (match.headers or match.query):
            return place
        wanted = [f"{quote(name.lower())}:{quote(value, safe='')}" for name, value in match.headers.items()]
        wanted += [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in match.query.items()]
        return f"{place}?{'&'.join(wanted)}"


@dataclass(frozen=True, slots=True)
class EdgeConfiguration:
    """Everything that HAProxy is configured from. `threads` 0 is one per core; `log_sample` is the share of
    ordinary requests that are logged (errors, refusals and what took longer than `log_slow` seconds always are).

    `gateway` is what the file says of all routes together, without the routes. `guard` checks credentials;
    `limit_store` counts what several processes count together.
    """

    listeners: tuple[Listener, ...] = ()
    backends: tuple[Backend, ...] = ()
    routes: tuple[Route, ...] = ()
    threads: int = 0
    #: processes that serve side by side, each with all of this; `edge/group.py` divides what is counted
    replicas: int = 1
    log_sample: float = 0.01
    log_slow: float = 1.0
    gateway: Gateway = _NO_GATEWAY
    guard: Guard | None = None
    limit_store: LimitStore | None = None


class ServerState(StrEnum):
    """`DOWN` is HAProxy's own finding, `MAINTENANCE` what it was told."""

    UP = "up"
    DOWN = "down"
    DRAINING = "draining"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """HAProxy's counters of one server. Counts since its start; times are means of the last 512 requests."""

    backend: str
    name: str
    state: ServerState
    weight: int
    sessions: int
    queued: int
    requests: int
    connection_errors: int
    response_errors: int
    responses_5xx: int
    retries: int
    redispatches: int
    response_time: float  # seconds to the first byte of the answer
    check: str  # what the last check said, e.g. "L7OK/200"
    bytes_in: int = 0
    bytes_out: int = 0
    responses: int = 0  # whole answers of any status, of the server itself


@dataclass(frozen=True, slots=True)
class BackendStatistics:
    """The same for a backend as a whole; `rate` is requests in the last second."""

    name: str
    sessions: int
    queued: int
    requests: int
    rate: int
    responses_4xx: int
    responses_5xx: int
    response_time: float
    servers: tuple[ServerStatistics, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteStatistics:
    """What one route was asked, by the edge's own count: since this cloudlet looks after the edge, but `sessions`
    (under way now) and `rate` (requests in the last second). Of a route over several services there is one more for
    each of these, with the service as its `variant`."""

    label: str
    requests: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    sessions: int = 0
    rate: int = 0
    variant: str = ""
