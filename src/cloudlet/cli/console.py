"""Where output goes: colour only on a terminal, NO_COLOR obeyed (no-color.org), full width when piped."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

#: columns when nothing says how wide the output is shown: a pipe or a file loses no column
_UNLIMITED = 400


@cache
def out() -> Console:
    """Standard output."""
    return _console(sys.stdout)


@cache
def err() -> Console:
    """Standard error: errors, progress, hints; never data."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    known = stream.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    return Console(file=stream, highlight=False, markup=False, emoji=False, width=None if known else _UNLIMITED)


def interactive() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def coloured(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def complain(message: str) -> None:
    """An error on standard error, without importing what draws tables."""
    import click

    head = click.style("error:", fg="red", bold=True) if coloured(sys.stderr) else "error:"
    click.echo(f"{head} {message}", err=True, color=True)
