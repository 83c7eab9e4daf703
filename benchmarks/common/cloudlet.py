"""A real stack, driven by the command line as a user drives it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import procfs

#: seconds until `up --wait` gives up
_PATIENCE = 90


class CloudletFailed(Exception):
    """A command of cloudlet ended with another status than 0, and what it said."""


def program() -> str:
    """The command of the environment this runs in, else the one on PATH."""
    beside = Path(sys.executable).with_name("cloudlet")
    found = str(beside) if beside.exists() else shutil.which("cloudlet")
    if found is None:
        raise CloudletFailed("there is no cloudlet command: install this project first (pip install -e '.[dev]')")
    return found


@dataclass(frozen=True, slots=True)
class Cloudlet:
    """The stack of one file. `core` pins all that it starts; None leaves that to the kernel."""

    file: Path
    core: int | None = None

    def command(self, *words: str, timeout: float = _PATIENCE + 30, given: str = "") -> str:
        """What it printed, `given` on its standard input. Raises CloudletFailed."""
        # what a service's command names may be installed beside this interpreter only
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        done = subprocess.run(
            [program(), "-f", str(self.file), *words],
            input=given,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": path},
            timeout=timeout,
            check=False,
            preexec_fn=self._pin,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1500:]
            raise CloudletFailed(f"cloudlet {' '.join(words)} ended with status {done.returncode}: {said}")
        return done.stdout

    def up(self) -> float:
        """Seconds from the start of the command until it said that everything is healthy."""
        began = time.monotonic()
        self.command("up", "-d", "--wait", "--wait-timeout", f"{_PATIENCE}s")
        return time.monotonic() - began

    def down(self) -> None:
        self.command("down")

    def status(self) -> dict[str, Any]:
        found = json.loads(self.command("status", "--all", "--output", "json"))
        assert isinstance(found, dict)
        return found

    def instances(self, service: str) -> list[dict[str, Any]]:
        services = {item["name"]: item for item in self.status()["services"]}
        return list(services[service]["instances"])

    def edge(self) -> dict[str, Any]:
        """The HAProxy in force."""
        return next(dict(item) for item in self.status()["engines"] if item["kind"] == "haproxy")

    def control_plane(self) -> set[int]:
        """The daemon and the keeper, and no process of theirs that carries traffic or data."""
        return {int(self.status()["pid"]), procfs.parent(int(self.edge()["pid"]))}

    def data_plane(self) -> set[int]:
        return {int(self.edge()["pid"])}

    def _pin(self) -> None:
        if self.core is not None:
            os.sched_setaffinity(0, {self.core})
