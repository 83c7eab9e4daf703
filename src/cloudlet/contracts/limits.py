"""Rate limits as the parts meet over them: where counts are kept that no stick table can keep, or that several edge
processes share, and who is near a limit."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LimitStore:
    """A Valkey of cloudlet's own; policy/limits/engine.py says which limits are counted there."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """How much of one limit somebody has used. `route` is its label, empty for a limit of the whole gateway; `key` an
    address, a user, a key's id, a method, or the beginning of a hash; `reset` seconds until all of it is free again."""

    route: str
    limit: str
    algorithm: str
    key: str
    used: int
    quota: int
    reset: float

    @property
    def share(self) -> float:
        """0 is untouched, 1 used up."""
        return self.used / self.quota
