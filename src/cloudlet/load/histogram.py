"""Counts of durations in buckets no wider than 1/128 of their value, from a microsecond to days.

The log-linear layout of HdrHistogram: below 256 µs each microsecond has a bucket, above it each power of
two has 128. Kept here because it is thirty lines, and the HdrHistogram package costs several times as much
for each value.
"""

from __future__ import annotations

#: 128 buckets for each power of two
_BITS = 7
#: values need at most this many bits: 2^40 µs are twelve days
_LONGEST = (1 << 40) - 1


class Histogram:
    """`record` seconds, read `percentile`."""

    __slots__ = ("_counts", "count", "maximum", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.maximum = 0.0

    def record(self, seconds: float) -> None:
        microseconds = min(int(seconds * 1e6), _LONGEST) if seconds > 0 else 0
        shift = microseconds.bit_length() - _BITS - 1
        index = (shift << _BITS) + (microseconds >> shift) if shift > 0 else microseconds
        counts = self._counts
        counts[index] = counts.get(index, 0) + 1
        self.count += 1
        self.total += seconds
        if seconds > self.maximum:
            self.maximum = seconds

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """The least duration, rounded up to its bucket's end, that `percent` of all values do not exceed."""
        wanted = max(1, -(-self.count * percent // 100))
        seen = 0
        for index in sorted(self._counts):
            seen += self._counts[index]
            if seen >= wanted:
                return min(_end(index), self.maximum)
        return 0.0


def _end(index: int) -> float:
    """Where the bucket ends, in seconds."""
    shift = max(0, (index >> _BITS) - 1)
    return float(((index - (shift << _BITS)) + 1) << shift) / 1e6
