"""Tables for people: the first column to the left, figures to the right."""

from __future__ import annotations

from collections.abc import Sequence


def show(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print(
            "  ".join(_cell(text, width, number) for number, (text, width) in enumerate(zip(row, widths, strict=True)))
        )


def _cell(text: str, width: int, number: int) -> str:
    return text.ljust(width) if number == 0 else text.rjust(width)
