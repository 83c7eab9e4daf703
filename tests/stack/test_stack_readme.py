"""The file that the README shows is a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudlet.stack import check, parse

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_example_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies it gets no problem and no warning; its programs need only be there."""
    found = re.search(r"```yaml\n(.+?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    for folder in re.findall(r"directory: (\S+)", found[1]):
        (tmp_path / folder).mkdir()
    for program in re.findall(r"command: (\S+)", found[1]):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check(parse(found[1], tmp_path / "cloudlet.yaml")) == []
