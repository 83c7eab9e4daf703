"""Daemons that kill themselves with SIGKILL between two steps of what they do: `python -m tests.support.interrupted`.

Forks one for each line on standard input, a stack's file, and answers with its exit status when it ended. Steps count
while the file `armed` lies beside that file, and at the number in it the daemon dies, having written which step it was
to `died-at`.
"""

from __future__ import annotations

import itertools
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from tests.support.live_stack import LiveStack, until

ROOT = Path(__file__).parents[2]


class Interrupted:
    """The parent of such daemons, for one stack. Use as a context manager."""

    def __init__(self, stack: LiveStack) -> None:
        self._stack = stack
        self._armed, self._died_at = stack.folder / "armed", stack.folder / "died-at"
        command = [sys.executable, "-m", "tests.support.interrupted"]
        self._forker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def __enter__(self) -> Interrupted:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stack.cloudlet("down", check=False)  # ends a daemon that was not interrupted
        assert self._forker.stdin
        self._forker.stdin.close()
        self._forker.wait(timeout=30)
        assert self._forker.stdout
        self._forker.stdout.close()

    def start(self) -> None:
        """Begin; where nothing is armed it looks after the stack as any other."""
        assert self._forker.stdin
        self._forker.stdin.write(f"{self._stack.file}\n")
        self._forker.stdin.flush()

    def arm(self, at: int) -> None:
        """From now on count steps, and die at this one."""
        fresh = self._armed.with_suffix(".new")
        fresh.write_text(str(at))
        fresh.replace(self._armed)

    def kill(self) -> None:
        """Kill the one that runs now, wherever it is."""
        os.kill(self._stack.daemon, signal.SIGKILL)
        until(self.ended, "it to end")

    def ended(self) -> bool:
        """Whether it has ended since this was last true."""
        assert self._forker.stdout
        if not select.select([self._forker.stdout], [], [], 0)[0]:
            return False
        status = int(self._forker.stdout.readline())
        assert status == -signal.SIGKILL, f"the daemon ended with status {status}"
        return True

    def died_at(self, done: Any) -> str:
        """The step it died at, or nothing when what it was doing is `done` without reaching that step."""
        finished = until(lambda: "died" if self.ended() else "done" if done() else "", "the daemon to die or finish")
        self._armed.unlink(missing_ok=True)
        return self._died_at.read_text() if finished == "died" else ""


def serve(file: Path) -> NoReturn:
    from cloudlet.control.daemon import run_foreground

    armed, steps = file.parent / "armed", itertools.count(1)

    def step(label: str) -> None:
        if armed.exists() and next(steps) == int(armed.read_text()):
            (file.parent / "died-at").write_text(label)
            os.kill(os.getpid(), signal.SIGKILL)

    os.close(0)
    os.dup2(2, 1)
    os._exit(run_foreground(file, on_event=lambda _: None, step=step))


def main() -> None:
    import cloudlet.control.api
    import cloudlet.control.daemon  # noqa: F401 - once for all of them

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            serve(Path(line.rstrip("\n")))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


if __name__ == "__main__":
    main()
