"""The files of the guides on shaping, protecting and observing are good ones, and their tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudlet.edge.protect_rules import REPEATED, UNDECODABLE, protect_rules
from cloudlet.stack import check, parse
from cloudlet.stack.gateway.accepting import INJECTION_RULES

_GUIDES = Path(__file__).parents[2] / "docs" / "guides"


@pytest.mark.parametrize("guide", ["shaping", "protection", "observing"])
def test_the_file_of_a_guide_is_taken(guide: str, folder: Path) -> None:
    """Without an error, and its warnings are about health checks and names alone."""
    found = re.search(r"```yaml\n(.*?)```", (_GUIDES / f"{guide}.md").read_text(), re.DOTALL)
    assert found is not None
    stack = parse(found[1], folder / "cloudlet.yaml")
    assert stack.gateway is not None
    assert [str(problem) for problem in check(stack) if "health" not in str(problem)] == []


def test_the_rules_have_one_list_of_names() -> None:
    """The patterns, what a file may leave out, and what the guide explains."""
    names = [*(rule.name for rule in protect_rules()), UNDECODABLE, REPEATED]
    assert tuple(names) == INJECTION_RULES
    table = re.findall(r"^\| `([a-z0-9-]+)` \|", (_GUIDES / "protection.md").read_text(), re.MULTILINE)
    assert table == names
