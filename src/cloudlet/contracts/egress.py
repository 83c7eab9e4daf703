"""What the forward proxy (`cloudlet-egress`) is started with: one JSON file, private to its user."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from cloudlet.stack.egress import Rules


@dataclass(frozen=True, slots=True)
class EgressConfiguration:
    """Secrets are here by their hash only. Bytes and seconds."""

    #: `digest` of a service's credential → the service
    credentials: Mapping[str, str] = field(default_factory=dict)
    #: by service
    rules: Mapping[str, Rules] = field(default_factory=dict)
    #: memory of one instance for answers to plain HTTP; 0 keeps none
    cache: int = 0
    log_all: bool = True
    #: how long a tunnel may carry nothing
    idle: float = 600.0
    #: how long a client may take for a request's head, and be silent between two requests
    head_within: float = 10.0
    keep: float = 60.0
    #: clients at once, and of one service
    most: int = 4096
    most_of_one: int = 2048


CONFIGURATION = TypeAdapter(EgressConfiguration)


def digest(service: str, secret: str) -> str:
    """By what a credential is known. A plain hash is enough: the secret is random, 192 bits long."""
    return hashlib.sha256(f"{service}:{secret}".encode()).hexdigest()
