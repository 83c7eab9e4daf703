"""Data printed as it is asked for, and tables that give up columns rather than wrap on a narrow terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

import click

from cloudlet.cli.console import out

if TYPE_CHECKING:
    from rich.console import JustifyMethod, RenderableType
    from rich.table import Table

#: characters between two columns
_GAP = 2
#: characters below which a flexible column is no use
_LEAST = 24
_COLOURS = {
    "green": ("healthy", "ready", "serving", "add", "ok"),
    "yellow": ("starting", "initialising", "draining", "stopping", "backoff", "scale", "change", "warning"),
    "red": ("degraded", "unhealthy", "crash-looping", "failed", "remove", "error", "missing"),
    "dim": ("stopped",),
}
STYLES = {word: colour for colour, words in _COLOURS.items() for word in words}


@dataclass(frozen=True, slots=True)
class Column:
    """`keep` 0 always stays; of the others the highest goes first. A `flexible` one is shortened instead."""

    title: str
    keep: int = 0
    right: bool = False
    flexible: bool = False


def print_data(data: Any, output: str) -> None:
    """As one JSON or YAML document. Dataclasses go by their fields."""
    plain = _plain(data)
    if output == "json":
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        import yaml

        click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)


def print_row(data: Any, output: str) -> None:
    """As one of many: a line of JSON (NDJSON), or a YAML document of its own."""
    if output == "json":
        click.echo(json.dumps(_plain(data), ensure_ascii=False))
    else:
        click.echo("---")
        print_data(data, output)


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output, nothing when there are no rows."""
    if rows:
        show(build(columns, [[visible(cell) for cell in row] for row in rows], out().width))


def visible(text: str) -> str:
    """On one line, with escapes for what a terminal would obey: strangers choose the paths and names that are shown."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def show(part: RenderableType) -> None:
    """On standard output, without the spaces that fill up a table's last column."""
    with out().capture() as captured:
        out().print(part)
    click.echo("\n".join(line.rstrip(" ") for line in captured.get().split("\n")), nl=False, color=True)


def build(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Table:
    """As much of the table as fits into so many characters."""
    from rich.table import Table
    from rich.text import Text

    shown = fit(columns, rows, width)
    widths = share_out(columns, rows, shown, width)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for place in shown:
        column = columns[place]
        side: JustifyMethod = "right" if column.right else "left"
        table.add_column(column.title, justify=side, no_wrap=True, overflow="ellipsis", width=widths[place])
    for row in rows:
        table.add_row(*(Text(row[place], style=STYLES.get(row[place], "")) for place in shown))
    return table


def share_out(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], shown: Sequence[int], width: int
) -> dict[int, int]:
    """How wide each shown column is: flexible ones share what the others leave, the shortest first."""
    natural = {place: _natural(columns, rows, place) for place in shown}
    flexible = sorted((p for p in shown if columns[p].flexible), key=natural.__getitem__)
    left = width - _GAP * (len(shown) - 1) - sum(natural[p] for p in shown if p not in flexible)
    for done, place in enumerate(flexible):
        natural[place] = min(natural[place], max(1, left // (len(flexible) - done)))
        left -= natural[place]
    return natural


def fit(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Which columns to show: empty ones go first, then by `keep`, until the rest fits."""
    shown = [p for p, column in enumerate(columns) if column.keep == 0 or any(row[p].strip("-") for row in rows)]
    while _width(columns, rows, shown) > width:
        last = max(shown, key=lambda place: columns[place].keep)
        if columns[last].keep == 0:
            break
        shown.remove(last)
    return shown


def _width(columns: Sequence[Column], rows: Sequence[Sequence[str]], shown: Sequence[int]) -> int:
    widths = []
    for place in shown:
        wanted = _natural(columns, rows, place)
        widths.append(min(wanted, _LEAST) if columns[place].flexible else wanted)
    return sum(widths) + _GAP * (len(shown) - 1)


def _natural(columns: Sequence[Column], rows: Sequence[Sequence[str]], place: int) -> int:
    return max(len(columns[place].title), *(len(row[place]) for row in rows))


def _plain(data: Any) -> Any:
    if is_dataclass(data) and not isinstance(data, type):
        return asdict(data)
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    return [_plain(each) for each in data] if isinstance(data, list | tuple) else data
