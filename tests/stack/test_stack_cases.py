"""Golden cases: a file, a line of dashes, then exactly what is said about it (Caddy's way).

Errors as they are raised; for a file that loads, its warnings. `UPDATE_CASES=1 pytest tests/stack` writes the
cases anew: read the difference before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudlet.errors import StackError
from cloudlet.stack import check, parse

CASES = Path(__file__).parent / "cases"
RULE = "-" * 20 + "\n"


def said(text: str, folder: Path) -> str:
    """Everything that is said about the text, with the folder's own name taken out."""
    try:
        problems = check(parse(text, folder / "cloudlet.yaml"))
    except StackError as error:
        problems = list(error.problems)
    lines = "\n".join(str(problem) for problem in problems)
    return lines.replace(f"{folder}/", "").replace(str(folder), "FOLDER") + "\n"


@pytest.mark.parametrize("case", sorted(CASES.glob("*.txt")), ids=lambda case: case.stem)
def test_says_what_the_case_expects(case: Path, folder: Path) -> None:
    """Every message stands at its line and column, with its reason and fix."""
    text, _, expected = case.read_text().partition(RULE)
    found = said(text, folder)
    if os.environ.get("UPDATE_CASES"):
        case.write_text(text + RULE + found)
    assert found == expected
