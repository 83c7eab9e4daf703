"""`cloudlet secret`: what the file names as ${secret:NAME}."""

from __future__ import annotations

import stat
from pathlib import Path

from click.testing import CliRunner

from cloudlet.cli.app import cloudlet


def run(folder: Path, *words: str, given: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(cloudlet, ["-f", str(folder / "cloudlet.yaml"), "secret", *words], input=given)
    return result.exit_code, result.output if result.exception is None else f"{result.output}{result.exception}"


def test_a_secret_is_set_listed_and_deleted_and_never_shown(tmp_path: Path) -> None:
    """The value goes to a private file; only its name is ever printed."""
    assert run(tmp_path, "set", "stripe", given="sk_live_1\n") == (0, "")
    file = tmp_path / ".cloudlet" / "secrets" / "stripe"
    assert file.read_text() == "sk_live_1"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(tmp_path, "ls") == (0, "stripe\n")
    assert run(tmp_path, "rm", "stripe")[0] == 0
    assert not file.exists()


def test_a_generated_secret_is_kept_when_it_is_there(tmp_path: Path) -> None:
    """Running a set-up script twice does not change what services already hold."""
    run(tmp_path, "set", "tokens", "--generate")
    first = (tmp_path / ".cloudlet" / "secrets" / "tokens").read_text()
    run(tmp_path, "set", "tokens", "--generate")
    assert (tmp_path / ".cloudlet" / "secrets" / "tokens").read_text() == first
    assert len(first) >= 32


def test_what_is_empty_or_cloudlets_own_is_refused(tmp_path: Path) -> None:
    """An empty value would open a door, and cloudlet's own keys are not the user's to delete or to see."""
    assert run(tmp_path, "set", "stripe", given="")[0] != 0
    assert run(tmp_path, "set", "../stripe", given="x")[0] != 0
    run(tmp_path, "set", "mine", given="x")
    (tmp_path / ".cloudlet" / "secrets" / "cloudlet-session").write_text("k")
    assert run(tmp_path, "ls") == (0, "mine\n")
    assert run(tmp_path, "rm", "cloudlet-session")[0] != 0
