"""A proxy under measurement: where it listens, and which processes its work is done by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proxy:
    """`processes` finds those that carry its traffic and its log now; `note` is what sets it apart."""

    name: str
    version: str
    port: int
    processes: Callable[[], set[int]]
    note: str = ""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"
