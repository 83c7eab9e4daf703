"""Samples and what is said of them: always the median, with its range and its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Summary:
    """In the unit of the samples."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Summary:
        return cls(median(samples), min(samples), max(samples), len(samples))


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Summary:
    """Ours through theirs, round by round: the machine's mood of one round is in both."""
    return Summary.of([a / b for a, b in zip(ours, theirs, strict=True)])
