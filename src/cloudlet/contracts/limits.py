"""Where counts are kept that several edge processes share, or that no stick table can keep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LimitStore:
    """A Valkey of cloudlet's own."""

    host: str
    port: int
    user: str = ""
    password: str = ""
