"""What a rule looks at."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cloudlet.stack import nodes
from cloudlet.stack.findings import Finding
from cloudlet.stack.gateway import Route
from cloudlet.stack.stack import Stack

#: section of the file → what one of its parts is called
KINDS = {"services": "service", "databases": "database", "caches": "cache"}


@dataclass(frozen=True, slots=True)
class Design:
    """The models that fit, and the file's own tree, which has the others too."""

    stack: Stack
    tree: nodes.Node
    #: numbers of the routes that did not fit
    skipped: frozenset[int] = frozenset()

    @property
    def routes(self) -> Iterator[tuple[int, Route]]:
        """The routes with their numbers in the file."""
        gateway = self.stack.gateway
        numbers = (number for number in itertools.count() if number not in self.skipped)
        return zip(numbers, gateway.routes if gateway else (), strict=False)

    def declared(self, section: str) -> list[str]:
        """The names in a section of the file, whether or not what they name fits its model."""
        found = nodes.find(self.tree, (section,))
        return list(found.entries) if isinstance(found, nodes.Mapping) else []


Rule: TypeAlias = Callable[[Design], Iterator[Finding]]
