"""The features that are measured, each with a path of its own and the request that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Feature:
    """`headers` may hold @TOKEN_HS@, @TOKEN_RS@, @API_KEY@ and @BASIC@; `body` makes it a POST of JSON. `base` is what
    it is compared with: the plain route, or the route that passes through the gateway service and does nothing."""

    name: str
    what: str
    peers: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    base: str = PLAIN

    @property
    def path(self) -> str:
        return f"/{self.name}/42"


_ALL = frozenset({"traefik", "caddy", "envoy"})
_TOKEN = {"Authorization": "Bearer @TOKEN_HS@"}
_ORDER = '{"product": "blue-mug", "quantity": 2, "note": "for the office, please"}'

FEATURES = (
    Feature(PLAIN, "routed, logged, counted", _ALL),
    Feature("jwt-hs256", "a token checked, HS256", frozenset({"envoy"}), _TOKEN),
    Feature("jwt-rs256", "a token checked, RS256", frozenset({"envoy"}), {"Authorization": "Bearer @TOKEN_RS@"}),
    Feature("api-key", "a key looked up by its hash", frozenset(), {"X-API-Key": "@API_KEY@"}),
    Feature("basic", "user and password", frozenset({"traefik", "envoy"}), {"Authorization": "Basic @BASIC@"}),
    Feature("fixed-window", "limited by client"),
    Feature("sliding-counter", "limited by client"),
    Feature("token-bucket", "limited by client", frozenset({"traefik", "envoy"})),
    Feature("sliding-log", "limited by client, counted in Valkey"),
    Feature("leaky-bucket", "limited by client, counted in Valkey"),
    Feature("headers", "three headers set, one removed, each way", _ALL),
    Feature(
        "cors", "an answer marked for another origin", frozenset({"traefik", "envoy"}), {"Origin": "https://a.test"}
    ),
    Feature("protect", "looked through for injections"),
    Feature("rewrite", "another path for the service", _ALL),
    Feature("gateway", "through the gateway service, a field dropped"),
    Feature("validation", "a body held against a JSON Schema", body=_ORDER, base="gateway"),
    Feature("aggregate", "two services merged", base="gateway"),
)
