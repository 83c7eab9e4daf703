"""Programs that a benchmark starts, and ends by their process id whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from common import procfs, waiting

#: seconds a program has to end by itself
_PATIENCE = 5.0


class Running:
    """A program with a process group of its own, pinned to one core; output goes to a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        core: int,
        output: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.output = name, output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def pids(self) -> set[int]:
        """It and what it started."""
        return procfs.family(self.pid)

    def wait_listening(self, port: int, within: float = 20.0) -> None:
        """Raises TookTooLong with the last it printed."""
        try:
            waiting.until(lambda: self._ended() or waiting.listening(port), f"{self.name} on {port}", within=within)
        except waiting.TookTooLong as error:
            raise waiting.TookTooLong(f"{error}: {self._last()}") from None
        if self._ended():
            raise waiting.TookTooLong(f"{self.name} ended with status {self._process.returncode}: {self._last()}")

    def stop(self) -> None:
        if not self._ended():
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def _last(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")[-600:].strip()
