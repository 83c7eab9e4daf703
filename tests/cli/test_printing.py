"""Tables on any width: whole columns go, what stays keeps its width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cloudlet.cli import amounts
from cloudlet.cli.printing import Column, build, fit, visible

COLUMNS = (
    Column("NAME"),
    Column("STATE"),
    Column("PID", 2, right=True),
    Column("BECAUSE", 1, flexible=True),
    Column("DETAIL", 3, flexible=True),
)
TEXT = st.text("abcdefgh -", min_size=0, max_size=60)
ROW = st.tuples(st.text("abc", min_size=1, max_size=12), st.sampled_from(["healthy", "failed"]), TEXT, TEXT, TEXT)


def drawn(rows: list[tuple[str, ...]], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(build(COLUMNS, rows, width))
    return captured.get().splitlines()


@given(st.lists(ROW, min_size=1, max_size=5), st.integers(22, 200))
def test_a_table_never_wraps_and_keeps_what_matters(rows: list[tuple[str, ...]], width: int) -> None:
    """From 22 columns on there is one line per row, and the columns that always stay are whole."""
    lines = drawn(rows, width)
    assert len(lines) == len(rows) + 1
    assert max(map(len, lines)) <= width
    for line, row in zip(lines[1:], rows, strict=True):
        assert line.split()[:2] == [row[0], row[1]]


def test_columns_go_by_priority_and_empty_ones_first() -> None:
    """What matters least goes first; a column of dashes says nothing and is never shown."""
    row = ("orders-1", "serving", "4001", "it answered 100 ms after its start", "-")
    assert fit(COLUMNS, [row], 200) == [0, 1, 2, 3]
    assert fit(COLUMNS, [row], 49) == [0, 1, 2, 3]
    assert fit(COLUMNS, [row], 48) == [0, 1, 3]
    assert fit(COLUMNS, [row], 20) == [0, 1]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (amounts.latency(0), "-"),
        (amounts.latency(0.00034), "340 µs"),
        (amounts.latency(0.01234), "12.3 ms"),
        (amounts.latency(1.5), "1.50 s"),
        (amounts.age(59), "59s"),
        (amounts.age(7200), "2h"),
        (amounts.size(64_000_000), "64.0 MB"),
        (amounts.size(999), "999 B"),
        (amounts.share(0.125), "12 %"),
        (amounts.count(12_345), "12,345"),
    ],
)
def test_amounts_have_three_digits_and_a_unit(shown: str, expected: str) -> None:
    """Numbers are written for reading; exact ones are in `--output json`."""
    assert shown == expected


def test_what_strangers_wrote_moves_no_terminal() -> None:
    """A path with an encoded line end or escape makes no line of its own; other scripts stay readable."""
    assert visible("/a\n2026 refused\x1b[2J\x9b1m") == r"/a\n2026 refused\x1b[2J\x9b1m"
    assert visible("jane\u202e é 漢字") == r"jane\u202e é 漢字"
