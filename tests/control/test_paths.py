"""Where a stack's state lies, and what is said when it cannot lie there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlet.contracts.paths import StatePaths
from cloudlet.control.daemon import alone
from cloudlet.errors import Refused


def test_the_sockets_of_a_long_path_do_not_depend_on_tmpdir(tmp_path, monkeypatch):
    """Another shell with another TMPDIR finds the same sockets, in /tmp."""
    paths = StatePaths(tmp_path / ("long" * 20) / ".cloudlet")
    found = paths.run
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert paths.run == found
    assert found.parent == Path("/tmp")


def test_a_file_in_the_way_is_named(tmp_path):
    """The message says what cannot be made, why, and what to do."""
    (tmp_path / ".cloudlet").write_text("")
    with pytest.raises(Refused, match=rf"cannot make {tmp_path}/\.cloudlet: File exists; move"):
        StatePaths(tmp_path / ".cloudlet").create()


def test_a_folder_that_cannot_be_written_is_named():
    """/sys takes no folders, not even from root."""
    with pytest.raises(Refused, match=r"cannot make /sys/\.cloudlet: .+; let this user write to /sys"):
        StatePaths(Path("/sys/.cloudlet")).create()


def test_a_link_is_refused(tmp_path):
    """What it leads to could be exchanged later."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".cloudlet").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="is a link"):
        StatePaths(tmp_path / ".cloudlet").create()


def test_a_lock_that_others_could_open_is_closed_to_them(tmp_path):
    """One that an earlier version made with mode 644 is given mode 600; held, it is refused to a second."""
    paths = StatePaths(tmp_path)
    lock = tmp_path / "daemon.lock"
    lock.touch(0o644)
    with alone(paths):
        assert lock.stat().st_mode & 0o777 == 0o600
        with pytest.raises(Refused, match="another cloudlet looks after"), alone(paths):
            pass
