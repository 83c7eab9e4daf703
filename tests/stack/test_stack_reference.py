"""The published schema and page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudlet.stack import json_schema, parse, planned
from cloudlet.stack.reference import main, page
from cloudlet.stack.schema import at

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def objects(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        if "properties" in part:
            yield part
        for inner in part.values():
            yield from objects(inner)


def test_the_published_files_match_the_models() -> None:
    """`make docs` was run after the last change."""
    assert main(["--check", str(DOCS / "file.md"), str(DOCS / "cloudlet.schema.json")]) == 0


def test_a_stale_page_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check exits 1 and names the file, writing makes it good."""
    files = [str(tmp_path / "new" / "file.md"), str(tmp_path / "new" / "schema.json")]
    assert main(["--check", *files]) == 1
    assert "file.md does not match" in capsys.readouterr().err
    assert main(files) == 0
    assert main(["--check", *files]) == 0
    Path(files[0]).write_text("old")
    assert main(["--check", *files]) == 1


def test_wrong_arguments_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything but two files shows how it is called."""
    assert main(["one"]) == 1
    assert "python -m cloudlet.stack.reference" in capsys.readouterr().err


def test_unknown_keys_are_forbidden_everywhere() -> None:
    """An editor marks what cloudlet refuses."""
    parts = list(objects(json_schema()))
    assert len(parts) > 15
    assert all(part["additionalProperties"] is False for part in parts)


def test_every_key_is_explained() -> None:
    """No key without a description, in the schema or behind its reference."""
    schema = json_schema()
    for part in objects(schema):
        for key, described in part["properties"].items():
            target = schema["$defs"].get(described.get("$ref", "").rpartition("/")[2], {})
            assert described.get("description") or target.get("description"), (part.get("title"), key)


def test_what_is_not_built_is_not_offered() -> None:
    """Planned keys are in neither the schema nor the tables, only in their own section."""
    for pattern in planned.KEYS:
        parent = tuple(
            0 if step == "*" and pattern[0] == "gateway" else "x" if step == "*" else step for step in pattern[:-1]
        )
        assert pattern[-1] not in at(parent).get("properties", {}), pattern
    tables, _, section = page().partition("## Not built yet")
    assert "services.NAME.scaling" in section
    assert "scaling" not in tables.replace("Until scaling exists", "")


def test_defaults_are_written_as_in_the_file() -> None:
    """Defaults of the schema, put into a file, load and change nothing."""
    service = json_schema()["$defs"]["Service"]["properties"]
    given = {key: described["default"] for key, described in service.items() if "default" in described}
    assert given["timeout"] == "30s"
    text = json.dumps({"name": "x", "services": {"web": {"command": "python3", **given}}})
    plain = json.dumps({"name": "x", "services": {"web": {"command": "python3"}}})
    file = Path("cloudlet.yaml")
    assert parse(text, file).services == parse(plain, file).services
