"""Every kind of engine that the file can ask for, and how to construct one."""

from __future__ import annotations

from collections.abc import Callable

from cloudlet.contracts.engine import Binary, Engine
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.contracts.secret import Credentials
from cloudlet.engines.locate import locate
from cloudlet.engines.nats import NatsEngine
from cloudlet.engines.postgres import PostgresEngine
from cloudlet.engines.valkey import ValkeyEngine

ENGINES: dict[str, Callable[..., Engine]] = {
    "postgres": PostgresEngine,
    "valkey": ValkeyEngine,
    "nats": NatsEngine,
}


def build(
    kind: str,
    resource: str,
    port: int,
    paths: StatePaths,
    secrets: Credentials,
    user: User | None,
    binary: Binary | None = None,
    **settings: int,
) -> Engine:
    """An engine of this kind, nothing of it made or started yet; `settings` are its own (a cache's `memory`).

    Without a binary given, it is located here; a missing one shows when the engine is provisioned.
    """
    return ENGINES[kind](resource, port, paths, secrets, user, binary or locate(kind), **settings)
