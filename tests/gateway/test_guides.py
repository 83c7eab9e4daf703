"""The guides' files are good ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudlet.stack import parse

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


@pytest.mark.parametrize("guide", ["composition", "validation", "idempotency-and-fallback"])
def test_the_file_of_a_guide_is_taken(guide: str, tmp_path: Path) -> None:
    """With the documents that it names."""
    text = re.search(r"```yaml\n(.*?)```", (GUIDES / f"{guide}.md").read_text(), re.DOTALL)
    assert text is not None
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "order.json").write_text("{}")
    (tmp_path / "api.yaml").write_text("openapi: 3.1.0\npaths: {/x: {get: {}}}")
    assert parse(text[1], tmp_path / "cloudlet.yaml").gateway is not None
