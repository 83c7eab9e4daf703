"""Runs an engine's ProcessSpec for a test as the keeper would: user, environment, process group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from cloudlet.contracts.process import ProcessSpec
from cloudlet.engines import run_as


class Running:
    """One process; `close` leaves nothing of it behind."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        user = spec.user
        who = ("-1", "-1", "0") if user is None else (str(user.uid), str(user.gid), str(int(user.reads_all)))
        with spec.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", run_as.__file__, *who, *spec.argv],
                cwd=spec.directory,
                env=dict(spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def kill(self) -> None:
        """SIGKILL for the whole group, as when an engine crashes and the keeper cleans up."""
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(10)

    def kill_leader(self) -> None:
        """SIGKILL for the process alone: its children, if any, are left to themselves."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> int:
        """The ordinary end; its exit status."""
        self._process.send_signal(self.spec.stop_signal)
        return self._process.wait(self.spec.grace)

    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        if self.alive():
            self.kill()

    def log(self) -> str:
        return self.spec.log.read_text(errors="replace")


def command_lines() -> dict[int, str]:
    """What `ps` shows of every process."""
    lines = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                lines[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
    return lines
