"""Every kind of engine that the file can ask for, and how to construct one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from cloudlet.contracts.engine import Binary, Engine
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.contracts.secret import Credentials
from cloudlet.engines.locate import locate

#: the class of each kind, imported when one is built: the client libraries take a tenth of a second each
ENGINES = {
    "postgres": ("cloudlet.engines.postgres", "PostgresEngine"),
    "valkey": ("cloudlet.engines.valkey", "ValkeyEngine"),
    "nats": ("cloudlet.engines.nats", "NatsEngine"),
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
    module, name = ENGINES[kind]
    construct: Callable[..., Engine] = getattr(import_module(module), name)
    return construct(resource, port, paths, secrets, user, binary or locate(kind), **settings)
