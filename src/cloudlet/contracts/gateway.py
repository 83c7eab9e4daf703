"""What cloudlet's own gateway service (`cloudlet-gateway`) is started with: one JSON file, private to its user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from cloudlet.stack.gateway import Route as RouteDesign
from cloudlet.stack.identity import Identity

#: its name, and that of its backend at the edge
GATEWAY_SERVICE = "cloudlet-gateway"
#: paths below it belong to cloudlet at every gateway: sign-in and its callback, key sets
OWN_PATHS = "/.cloudlet/"


@dataclass(frozen=True, slots=True)
class GatewayConfiguration:
    """Everything is resolved: secrets are values, services are addresses."""

    #: by the label that the edge sends in `Cloudlet-Route`
    routes: Mapping[str, RouteDesign] = field(default_factory=dict)
    #: service → http://127.0.0.1:PORT, the edge's internal listener, which also takes HTTP/2 in clear
    services: Mapping[str, str] = field(default_factory=dict)
    #: services that speak HTTP/2 (gRPC)
    http2: frozenset[str] = frozenset()
    identity: Identity = field(default_factory=Identity)
    #: redis://USER:PASSWORD@HOST:PORT of cloudlet's own Valkey, for stored answers; empty where nothing needs it
    store: str = ""
    #: signs browsers' sessions (HS256); the edge has the same
    session_key: str = ""
    #: PEM of the key that signs tokens which cloudlet issues (ES256)
    issuing_key: str = ""
    #: what the edge says beside a question (`contracts.guard.VERIFY`); without it none is answered
    ask_secret: str = ""
    #: the API keys that may ask for tokens (`contracts.guard.KEY_RECORDS`), replaced at once on every change
    api_keys: Path | None = None


CONFIGURATION = TypeAdapter(GatewayConfiguration)
