"""How many clients are served at once: in all, and of one service, so that none takes the others' places."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Admission:
    most: int
    most_of_one: int
    connections: int = 0
    _services: Counter[str] = field(default_factory=Counter)

    @property
    def full(self) -> bool:
        return self.connections >= self.most

    def enter(self, service: str) -> bool:
        """Whether one more of this service is let in; it must `leave`."""
        if self._services[service] >= self.most_of_one:
            return False
        self._services[service] += 1
        return True

    def leave(self, service: str) -> None:
        self._services[service] -= 1
