"""What a limit allows, and what it says to one request."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Quota:
    """`count` requests in every `per` microseconds; `burst` is for the buckets."""

    count: float
    per: int
    burst: int = 1

    @property
    def pace(self) -> tuple[int, int]:
        """(p, q) of the bucket's own unit of time, 1/p µs, in which the interval between two requests is the whole
        number q: no rate is rounded."""
        interval = Fraction(self.per) / Fraction(str(self.count))
        return interval.denominator, interval.numerator


@dataclass(frozen=True, slots=True)
class Decision:
    """Times in microseconds: `retry_after` until this request would be let in (0 when it is), `reset` until the whole
    quota is there again if nobody asks meanwhile, `delay` for which it waits before it goes on (leaky-bucket)."""

    allowed: bool
    remaining: int
    retry_after: int
    reset: int
    delay: int = 0
    because: str = ""
