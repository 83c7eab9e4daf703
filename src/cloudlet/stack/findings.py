"""What is wrong with the design, by path; `place` turns it into a problem with line and column."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from cloudlet.errors import Problem
from cloudlet.stack.nodes import Mark, Node, Path, locate


@dataclass(frozen=True, slots=True)
class Finding:
    """`key` points at the key instead of its value."""

    path: Path
    message: str
    fix: str = ""
    key: bool = False


class Fault(ValueError):
    """A value that a model refuses, with its fix; raised inside validators."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


def dotted(path: Path) -> str:
    """`("gateway", "routes", 0, "to")` → `gateway.routes[0].to`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    by_lower = {name.lower(): name for name in known}
    wanted = word.lower().replace("-", "_") if any("_" in name for name in by_lower) else word.lower()
    close = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def suggestion(word: str, known: Iterable[str], what: str) -> str:
    """`did you mean "X"?`, or all there are."""
    names = list(known)
    close = nearest(word, names)
    if close is not None:
        return f'did you mean "{close}"?'
    return f"{what}: {', '.join(names)}" if names else ""


def place(findings: Iterable[Finding], tree: Node, file: str) -> list[Problem]:
    """The findings with their places, in the order of the file, each once."""
    problems = [
        problem(file, locate(tree, finding.path, key=finding.key), finding.message, finding.fix) for finding in findings
    ]
    return in_file_order(problems)


def problem(file: str, mark: Mark | None, message: str, fix: str = "") -> Problem:
    """A problem that can be shown on a terminal."""
    line, column = (mark.line, mark.column) if mark else (0, 0)
    return Problem(file, line, column, _printable(message), _printable(fix))


def in_file_order(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))


def _printable(text: str) -> str:
    """Escapes what a terminal could take for a command, or for the end of the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
