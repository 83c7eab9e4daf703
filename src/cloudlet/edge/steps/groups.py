"""Routes by equal settings, so that the number of rules grows with what the file says and not with its routes.

A group that all routes belong to needs no condition: behind the routing step every request has one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.steps.labels import condition

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Group(Generic[T]):
    """The routes that one setting holds for. `name` is the condition's in HAProxy's configuration."""

    setting: T
    labels: tuple[str, ...]
    everywhere: bool
    name: str

    @property
    def lines(self) -> tuple[str, ...]:
        """What declares the condition; rules and answers behind it may use `gate`."""
        return () if self.everywhere else condition(self.name, self.labels)

    @property
    def gate(self) -> str:
        """The condition with a space behind it, or nothing."""
        return "" if self.everywhere else f"{self.name} "

    @property
    def only(self) -> str:
        """` if CONDITION`, or nothing."""
        return "" if self.everywhere else f" if {self.name}"


def groups(
    configuration: EdgeConfiguration, prefix: str, setting_of: Callable[[Route], T | None]
) -> tuple[Group[T], ...]:
    """One group for each distinct setting, in the order of the routes; routes without one are in none."""
    found: dict[str, tuple[T, list[str]]] = {}
    for route in configuration.routes:
        setting = setting_of(route)
        if setting is not None:
            found.setdefault(setting.model_dump_json(), (setting, []))[1].append(route.label)
    return tuple(
        Group(setting, tuple(dict.fromkeys(labels)), len(labels) == len(configuration.routes), f"{prefix}-{number}")
        for number, (setting, labels) in enumerate(found.values(), 1)
    )
