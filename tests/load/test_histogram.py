"""The histogram against the sorted values it stands for."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from cloudlet.load.arrivals import fixed, interleaved, poisson
from cloudlet.load.histogram import Histogram


@given(
    st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=200),
    st.sampled_from([1.0, 50.0, 90.0, 99.0, 99.9, 100.0]),
)
def test_percentiles_are_within_a_bucket_of_the_exact_ones(values: list[float], percent: float) -> None:
    """Every percentile is at least the exact one and at most 1/128 or a microsecond above it."""
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    exact = sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]
    found = histogram.percentile(percent)
    assert exact - 2e-6 <= found <= exact * (1 + 1 / 128) + 2e-6
    assert histogram.maximum == max(values)


def test_an_empty_histogram_says_zero() -> None:
    """No values, no latency."""
    assert Histogram().percentile(99) == 0.0
    assert Histogram().mean == 0.0


def test_fixed_arrivals_are_evenly_apart() -> None:
    """The n-th request is due at n/rate, however long it runs: no error adds up."""
    arrivals = fixed(300)
    due = [next(arrivals) for _ in range(300_001)]
    assert due[300_000] == 1000.0


def test_poisson_arrivals_have_their_rate_and_repeat() -> None:
    """Random arrivals keep the rate on average and are the same for one seed."""
    first, second = poisson(1000, seed=7), poisson(1000, seed=7)
    due = [next(first) for _ in range(10_000)]
    assert due == [next(second) for _ in range(10_000)]
    assert 9.5 < due[-1] < 10.5


def test_interleaving_spreads_each_kind_evenly() -> None:
    """Of weights 4 and 1 the rare one comes once in each round, never bunched."""
    assert sorted(interleaved([4, 1])) == [0, 0, 0, 0, 1]
    assert interleaved([2, 2]) == [0, 1, 0, 1]
