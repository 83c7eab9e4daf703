"""What the tests of the design share: a folder to stand in, and the golden cases."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `orders/` and certificates in it, and the environment that the cases expect."""
    (tmp_path / "orders").mkdir()
    (tmp_path / "certificates").mkdir()
    (tmp_path / "chain.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (tmp_path / "my-program").write_text("#!/bin/sh\n")
    monkeypatch.setenv("CASE_LEVEL", "debug")
    monkeypatch.setenv("CASE_TOKEN", "hunter2")
    monkeypatch.delenv("CASE_MISSING", raising=False)
    return tmp_path
