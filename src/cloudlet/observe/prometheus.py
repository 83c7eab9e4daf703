"""Metrics in the Prometheus text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cloudlet.contracts.edge import BackendStatistics, RouteStatistics
from cloudlet.observe.measures import Family, families

_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(backends: Iterable[BackendStatistics], stack: str, routes: Iterable[RouteStatistics] = ()) -> str:
    """The text that a scrape answers, one family after the other."""
    return "".join(line for family in families(stack, backends, routes) for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
    for sample in family.samples:
        yield f"{family.name}{{{_labels(sample.labels)}}} {_number(sample.value)}\n"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items())


def _number(value: float) -> str:
    """Whole numbers to the last digit: %g would round a counter beyond a million."""
    return str(int(value)) if value.is_integer() else repr(value)
