"""Durations, sizes, rates and shares."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.stack import units


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (units.parse_duration, "500ms", 0.5),
        (units.parse_duration, "1.5s", 1.5),
        (units.parse_duration, "5m", 300.0),
        (units.parse_duration, "2h", 7200.0),
        (units.parse_duration, "1d", 86400.0),
        (units.parse_size, "64MB", 64_000_000),
        (units.parse_size, "64MiB", 67_108_864),
        (units.parse_size, "0.5KiB", 512),
        (units.parse_size, "7B", 7),
        (units.parse_rate, "10/s", units.Rate(10.0, 1.0)),
        (units.parse_rate, "100/m", units.Rate(100.0, 60.0)),
        (units.parse_share, "70%", 0.7),
        (units.parse_share, "125%", 1.25),
        (units.parse_share, "0.5%", 0.005),
        (units.parse_errors, "5 errors", 5),
        (units.parse_errors, "1 error", 1),
    ],
)
def test_reads_what_people_write(parse: Callable[[str], object], text: str, value: object) -> None:
    """Each unit means what the standard says."""
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "fix"),
    [
        (units.parse_duration, "30", "write 30s"),
        (units.parse_duration, "30 s", "write 30s"),
        (units.parse_duration, "30sec", "write 30s"),
        (units.parse_duration, "", "write a number and a unit"),
        (units.parse_duration, "-1s", "write a number and a unit"),
        (units.parse_duration, "٣s", "write a number and a unit"),
        (units.parse_size, "64mb", "write 64MB"),
        (units.parse_size, "64", "write 64MB"),
        (units.parse_size, "0.5B", "smaller unit"),
        (units.parse_rate, "10", "10/s"),
        (units.parse_rate, "0/s", "10/s"),
        (units.parse_rate, "10/y", "10/s"),
        (units.parse_share, "70", "write 70%"),
        (units.parse_share, "0.7", "write 70%"),
        (units.parse_share, "%", "write a percentage"),
        (units.parse_errors, "5", "write 5 errors"),
        (units.parse_errors, "0 errors", "write 5 errors"),
    ],
)
def test_refuses_with_a_fix(parse: Callable[[str], object], text: str, fix: str) -> None:
    """What is no such quantity is refused with what was probably meant."""
    with pytest.raises(units.UnitError) as refused:
        parse(text)
    assert f'"{text}"' in str(refused.value)
    assert fix in refused.value.fix


@given(st.integers(0, 10**12).map(lambda milliseconds: milliseconds / 1000) | st.floats(0, 1e9))
def test_durations_survive_the_round_trip(seconds: float) -> None:
    """What is formatted parses to the very same number, where it has at most fifteen digits on each side."""
    text = units.format_duration(seconds)
    try:
        assert units.parse_duration(text) == seconds
    except units.UnitError:
        assert len(text) > 15


@given(st.integers(0, 10**15 - 1))
def test_sizes_survive_the_round_trip(size: int) -> None:
    """What is formatted parses to the very same number."""
    assert units.parse_size(units.format_size(size)) == size


@given(st.integers(1, 10**9), st.sampled_from(sorted(units.DURATIONS)))
def test_rates_survive_the_round_trip(count: int, unit: str) -> None:
    """What is formatted parses to the same rate."""
    rate = units.parse_rate(f"{count}/{unit}")
    assert units.parse_rate(units.format_rate(rate)) == rate
    assert rate.per_second == pytest.approx(count / float(units.DURATIONS[unit]))


@given(st.integers(0, 10_000_000))
def test_shares_survive_the_round_trip(parts: int) -> None:
    """What is formatted parses to the very same number."""
    share = parts / 10_000
    assert units.parse_share(units.format_share(share)) == share


@given(st.text(max_size=20))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    """No text raises anything but UnitError."""
    for parse in (
        units.parse_duration,
        units.parse_size,
        units.parse_rate,
        units.parse_share,
        units.parse_errors,
    ):
        try:
            parse(text)
        except units.UnitError as error:
            assert error.fix
