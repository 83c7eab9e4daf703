"""What each route was asked, read from the stick tables of edge/steps/count.py (management.txt, 9.3: `show table`).

A succession begins them at zero; `RouteCounts` adds what the process before had counted by then, so that they grow for
as long as this cloudlet looks after the edge. What a predecessor still finishes afterwards is not counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cloudlet.contracts.edge import EdgeConfiguration, RouteStatistics
from cloudlet.edge.steps.count import ROUTES, VARIANTS

_ESCAPED = re.compile(r"\\(.)")
_VALUE = re.compile(r"(\w+(?:\([^)]*\))?)=(\d+)")


def commands(configuration: EdgeConfiguration) -> tuple[str, ...]:
    """What to ask: only tables that are there."""
    variants = any(route.targets for route in configuration.routes)
    names = (ROUTES, *([VARIANTS] if variants else [])) if configuration.routes else ()
    return tuple(f"show table {name}" for name in names)


def parse(answer: str) -> tuple[RouteStatistics, ...]:
    """One for each entry, in the table's order."""
    return tuple(_statistics(key, dict(_VALUE.findall(values))) for key, values in _entries(answer))


def _entries(answer: str) -> Iterable[tuple[str, str]]:
    """Keys and what is stored; in a key, blanks and the like have a backslash before them."""
    for line in answer.splitlines():
        if line.startswith("0x") and " key=" in line:
            key, _, values = line.partition(" key=")[2].partition(" use=")
            yield key, f"use={values}"


def _statistics(key: str, values: Mapping[str, str]) -> RouteStatistics:
    label, _, variant = _ESCAPED.sub(r"\1", key).partition(" ")
    errors = [int(values.get(name, 0)) for name in ("gpc0", "gpc1")]
    return RouteStatistics(
        label=label,
        variant=variant,
        requests=int(values.get("http_req_cnt", 0)),
        errors_4xx=errors[0],
        errors_5xx=errors[1],
        sessions=int(values.get("conn_cur", 0)),
        rate=int(values.get("http_req_rate(1000)", 0)),
    )


def added(parts: Iterable[Iterable[RouteStatistics]]) -> tuple[RouteStatistics, ...]:
    """The sum by route and variant."""
    sums: dict[tuple[str, str], RouteStatistics] = {}
    for item in (item for part in parts for item in part):
        key = (item.label, item.variant)
        sums[key] = _sum(sums[key], item) if key in sums else item
    return tuple(sums.values())


def _sum(one: RouteStatistics, other: RouteStatistics) -> RouteStatistics:
    names = ("requests", "errors_4xx", "errors_5xx", "sessions", "rate")
    return replace(one, **{name: getattr(one, name) + getattr(other, name) for name in names})


class RouteCounts:
    """Counts that go on over successions."""

    def __init__(self) -> None:
        self._before: tuple[RouteStatistics, ...] = ()

    def keep(self, now: Iterable[RouteStatistics]) -> None:
        """The process that counted this is succeeded."""
        self._before = tuple(replace(item, sessions=0, rate=0) for item in self.with_before(now))

    def with_before(self, now: Iterable[RouteStatistics]) -> tuple[RouteStatistics, ...]:
        return added((self._before, now))
