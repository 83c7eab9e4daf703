"""The ramp of a server that came back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.slow_start import ramped


@given(st.integers(1, 256), st.integers(1, 600), st.floats(0, 700), st.floats(0, 700))
def test_the_weight_grows_and_never_jumps_back(weight: int, slow_start: int, one: float, other: float) -> None:
    """Later is never less, never nothing, never above the weight."""
    early, late = sorted((one, other))
    assert 0 < ramped(weight, early, slow_start) <= ramped(weight, late, slow_start) <= weight


def test_it_is_as_haproxy_computes_it() -> None:
    """(16 x elapsed + duration) / duration sixteenths, in whole seconds; all of it from the end on."""
    assert [ramped(160, second, 10) for second in range(0, 12, 2)] == [10, 40, 70, 100, 130, 160]
    assert ramped(100, 0.0, 0.0) == 100
    assert ramped(100, 5.9, 10) == pytest.approx(100 * 9 / 16)
    assert ramped(160, 0.9, 0.5) == ramped(160, 0.9, 1.0) == 10
