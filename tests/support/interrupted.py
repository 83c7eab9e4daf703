"""Daemons that kill themselves with SIGKILL between two steps of what they do: `python -m tests.support.interrupted`.

Forks one for each line `{"file": …, "at": k}` on standard input, and answers with the exit status when it ended. Steps
count while the file `armed` lies beside the stack's; the one it died at is written to `died-at` there.
"""

from __future__ import annotations

import json
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

    def start(self, at: int, *, armed: bool) -> None:
        """Begin; not armed it comes to rest first, and steps count from `arm` on."""
        self._armed.unlink(missing_ok=True)
        if armed:
            self.arm()
        assert self._forker.stdin
        self._forker.stdin.write(json.dumps({"file": str(self._stack.file), "at": at}) + "\n")
        self._forker.stdin.flush()

    def arm(self) -> None:
        self._armed.touch()

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


def serve(file: Path, at: int) -> NoReturn:
    from cloudlet.control.daemon import run_foreground

    count = 0

    def step(label: str) -> None:
        nonlocal count
        count += (file.parent / "armed").exists()
        if count == at:
            (file.parent / "died-at").write_text(label)
            os.kill(os.getpid(), signal.SIGKILL)

    os.close(0)
    os.dup2(2, 1)
    os._exit(run_foreground(file, on_event=lambda _: None, step=step))


def main() -> None:
    import cloudlet.control.api
    import cloudlet.control.daemon  # noqa: F401 - once for all of them

    for line in sys.stdin:
        given = json.loads(line)
        child = os.fork()
        if child == 0:
            serve(Path(given["file"]), given["at"])
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


if __name__ == "__main__":
    main()
