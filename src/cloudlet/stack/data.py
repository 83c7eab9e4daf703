"""Databases and caches: each is an engine of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cloudlet.stack.fields import Model, Shorthand, Size


def _nothing_is_defaults(value: Any) -> Any:
    return {} if value is None else value


class Database(Model):
    """A database cluster of its own."""

    engine: Literal["postgres"] = Field(default="postgres", description="PostgreSQL.")


class Cache(Model):
    """A cache of its own."""

    engine: Literal["valkey"] = Field(default="valkey", description="Valkey, which speaks Redis' protocol.")
    memory: Size = Field(default=64_000_000, description="What it may hold; beyond it the least used goes.")


#: may be written without a value: `shop-db:` is `shop-db: {}`
_NOTHING = Shorthand(_nothing_is_defaults, {"type": "null"})
DatabaseEntry = Annotated[Database, _NOTHING]
CacheEntry = Annotated[Cache, _NOTHING]
