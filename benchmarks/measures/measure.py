"""A row of the table: what was measured, how often, and what DESIGN.md allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common import table
from common.sampling import Summary

#: unit → how many of it make the unit of the samples, and how it is printed
_UNITS = {
    "s": (1.0, "{:.2f} s"),
    "ms": (1e-3, "{:.1f} ms"),
    "%": (1e-2, "{:.2f} %"),
    "MB": (1e6, "{:.1f} MB"),
    "": (1.0, "{:.0f}"),
}


@dataclass(frozen=True, slots=True)
class Measure:
    """Samples in seconds, bytes, shares of 1 or counts; `unit` is how to print them; `budget` is the most that the
    median may be, or every sample where `every` is set (a failed request is not made good by others)."""

    name: str
    samples: tuple[float, ...]
    unit: str
    budget: float | None = None
    every: bool = False

    @property
    def summary(self) -> Summary:
        return Summary.of(self.samples)

    @property
    def met(self) -> bool | None:
        if self.budget is None:
            return None
        return (self.summary.high if self.every else self.summary.median) <= self.budget

    def text(self, value: float) -> str:
        scale, form = _UNITS[self.unit]
        return form.format(value / scale)


def report(measures: Sequence[Measure]) -> None:
    table.show(("measure", "median", "min", "max", "n", "budget", "met"), [_row(measure) for measure in measures])


def _row(measure: Measure) -> list[str]:
    found = measure.summary
    return [
        measure.name,
        measure.text(found.median),
        measure.text(found.low),
        measure.text(found.high),
        str(found.n),
        f"<= {measure.text(measure.budget)}" if measure.budget is not None else "",
        {None: "", True: "yes", False: "NO"}[measure.met],
    ]
