"""What is wrong with the file, with the line it is about and a caret under the place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

import click

from cloudlet.cli.console import coloured
from cloudlet.errors import Problem

#: what of a long line is shown before the place
_BEFORE = 40
_AFTER = 60


def show(problems: Sequence[Problem], stream: TextIO, severity: str = "error") -> None:
    """Every problem, in the order of the file."""
    style = partial(click.style) if coloured(stream) else _plain
    colour = "red" if severity == "error" else "yellow"
    for problem in problems:
        place = f"{shorten(problem.file)}:{problem.line}:{problem.column}" if problem.line else shorten(problem.file)
        head = f"{style(place, bold=True)}: {style(severity + ':', fg=colour, bold=True)} {problem.message}"
        lines = [head, *_source(problem)]
        if problem.fix:
            lines.append(f"    fix: {problem.fix}")
        click.echo("\n".join(lines), file=stream, color=True)


def shorten(file: str) -> str:
    """The path as seen from here, where it is below."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _plain(text: str, **_: object) -> str:
    return text


def _source(problem: Problem) -> list[str]:
    try:
        lines = Path(problem.file).read_text(encoding="utf-8-sig").splitlines()
        line = lines[problem.line - 1].replace("\t", " ") if problem.line else ""
    except (OSError, UnicodeDecodeError, IndexError):
        return []
    if not line.strip():
        return []
    start = max(0, problem.column - 1 - _BEFORE)
    word = re.match(r"""("[^"]*"|'[^']*'|[^\s,:\]}#]*)""", line[problem.column - 1 :])
    marks = "^" * max(1, min(len(word[0]) if word else 1, _AFTER))
    number = f"{problem.line:5} | "
    shown = line[start : problem.column - 1 + _AFTER]
    return [number + shown, " " * (len(number) - 2) + "| " + " " * (problem.column - 1 - start) + marks]


def summary(errors: int, warnings: int) -> str:
    parts = [
        f"{count} {word}{'s' * (count != 1)}" for count, word in ((errors, "error"), (warnings, "warning")) if count
    ]
    return " and ".join(parts)


def relative(path: Path) -> str:
    return os.path.relpath(path)
