"""What the control API answers: plain dataclasses, given as JSON by their field names.

Times are Unix seconds, durations seconds, memory bytes, shares 0 to 1. docs/reference/api.md shows each in full.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """`phase` is one of policy.lifecycle.Phase; `because` says why it is in it."""

    name: str
    service: str
    phase: str
    because: str
    since: float
    pid: int | None
    port: int
    revision: str
    restarts: int
    sessions: int = 0
    queued: int = 0
    requests: int = 0
    errors: int = 0
    response_time: float = 0.0
    weight: int = 0
    check: str = ""
    cpu: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """`state` is healthy, starting, degraded (fewer serve than wanted), crash-looping or stopped.
    `wanted_by` is `file`, or `scale` when a command changed it; `ready` counts instances that serve."""

    name: str
    state: str
    wanted: int
    wanted_by: str
    ready: int
    revision: str
    version: str
    balance: str
    rate: int = 0
    sessions: int = 0
    queued: int = 0
    requests: int = 0
    errors_5xx: int = 0
    response_time: float = 0.0
    hidden: bool = False
    #: closed, half-open or open; empty where the file asks for none
    breaker: str = ""
    instances: list[InstanceStatus] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """`kind` is haproxy, postgres, valkey or nats; `state` is initialising, starting, ready, or failed."""

    name: str
    kind: str
    resource: str
    version: str
    state: str
    because: str
    pid: int | None
    restarts: int
    cpu: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class AddressStatus:
    """One address a person can use, e.g. `gateway http` → `http://127.0.0.1:8080`."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class StackStatus:
    """The whole stack. `state` is healthy, starting, degraded or stopping."""

    name: str
    file: str
    state: str
    because: str
    pid: int
    started: float
    addresses: list[AddressStatus] = field(default_factory=list)
    services: list[ServiceStatus] = field(default_factory=list)
    engines: list[EngineStatus] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the plan that `up` prints. `action` is add, change, remove or scale; `kind` service, route,
    database, cache, listener or stack; `how` says what carrying it out does to traffic."""

    action: str
    kind: str
    name: str
    detail: str
    how: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """What `up` would do. `undoes` names run-time changes (from `scale`) that applying the file takes back."""

    changes: list[Change] = field(default_factory=list)
    undoes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the journal. `level` is info, warning or error."""

    id: int
    at: float
    level: str
    subject: str
    event: str
    because: str


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """An API key. `state` is good or expired; `created` and `expires` are Unix time; `by` is the user id of whoever
    issued or rotated it."""

    id: str
    user: str
    roles: list[str]
    scopes: list[str]
    state: str
    created: float
    expires: float | None
    by: int


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its text, which nobody can show again."""

    text: str
    key: KeyStatus


@dataclass(frozen=True, slots=True)
class RouteCounts:
    """Since cloudlet looks after the edge, but `sessions` (under way now) and `rate` (requests in the last second)."""

    requests: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    sessions: int = 0
    rate: int = 0


@dataclass(frozen=True, slots=True)
class VariantStatus:
    """One service of a route over several, with its part of the requests."""

    service: str
    weight: int
    counts: RouteCounts


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """A route, as `route ls` shows it: the specific before the general. `counts` is None where nothing runs; `answer`
    says who answers, a service or the edge itself."""

    label: str
    host: str
    path: str
    methods: list[str]
    conditions: list[str]
    answer: str
    counts: RouteCounts | None = None
    variants: list[VariantStatus] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PassedRoute:
    """A route of the same host and path that did not take a request, and why."""

    label: str
    because: str


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Which route takes a request; `label` is empty where none does, and `status` 400, 404 or 405 (with `allow`)."""

    method: str
    host: str
    path: str
    query: str
    label: str
    status: int
    because: str
    answer: str = ""
    allow: list[str] = field(default_factory=list)
    passed: list[PassedRoute] = field(default_factory=list)
