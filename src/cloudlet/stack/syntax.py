"""What PyYAML says about text that is no YAML, in our words, with a fix for the likely mistakes."""

from __future__ import annotations

import yaml

from cloudlet.errors import Problem
from cloudlet.stack.findings import problem
from cloudlet.stack.nodes import Mark


def explain(error: Exception, text: str, file: str) -> Problem:
    """The problem behind an exception that PyYAML's parser let out."""
    if isinstance(error, yaml.reader.ReaderError):
        code = ord(error.character) if isinstance(error.character, str) else int(error.character)
        message = f"the character U+{code:04X} is not allowed in YAML"
        return problem(file, _mark_at(text, error.position), message, "remove it")
    place = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if place is None:  # ValueError from an escape such as "\Uffffffff", or from a number in a directive
        return problem(file, None, f"this is not YAML: {error}", "remove the escape or directive")
    lines = text.splitlines()
    line = lines[place.line] if place.line < len(lines) else ""
    said = [getattr(error, "problem", None) or "unexpected text", getattr(error, "context", None) or ""]
    message = f"this is not YAML: {' '.join(said).strip()}"
    return problem(file, Mark(place.line + 1, place.column + 1), message, _fix(line))


def _fix(line: str) -> str:
    if "\t" in line:
        return "indent with spaces, never tabs"
    if line.count("{") > 1 or "${" in line:
        return 'put a value that holds braces in quotes: "${env:NAME}"'
    if line.count(": ") > 1:
        return "put a value that holds `: ` in quotes"
    return "compare the indentation and the quotes with the lines above"


def _mark_at(text: str, position: int) -> Mark:
    line_start = text.rfind("\n", 0, position) + 1
    return Mark(text.count("\n", 0, position) + 1, position - line_start + 1)
