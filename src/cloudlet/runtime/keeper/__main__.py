"""python -m cloudlet.runtime.keeper [--detach] STATE_ROOT RUN_DIR

With --detach it answers when the keeper listens: exit status 0, also when one runs already; 1 with the reason
on standard output. The keeper then has a session of its own, and no parent that could take it along.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import sys
from pathlib import Path

from cloudlet.runtime.keeper import kernel
from cloudlet.runtime.keeper.child import IGNORED
from cloudlet.runtime.keeper.keeper import Keeper

_READY = b"ready"
#: when memory runs out, anything else should be killed first
_OOM_SCORE = "-900"


def main(arguments: list[str]) -> int:
    detach = arguments[:1] == ["--detach"]
    if len(arguments) != 2 + detach:
        print(__doc__, file=sys.stderr)
        return 2
    root, run = (Path(argument).resolve() for argument in arguments[-2:])
    report = _detach() if detach else os.dup(1)
    try:
        return _keep(root, run, report)
    except Exception as error:
        os.write(report, f"the keeper of {root} cannot start: {error}".encode())
        raise


def _detach() -> int:
    """Only the child returns, with the descriptor by which it answers; the parent waits for it and exits."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    if os.fork():
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            answer = file.read()
        os.write(1, b"" if answer == _READY else answer)
        os._exit(0 if answer == _READY else 1)
    os.close(reading)
    os.setsid()
    os.dup2(2, 1)
    return writing


def _keep(root: Path, run: Path, report: int) -> int:
    os.umask(0o077)
    os.chdir("/")
    lock = os.open(run / "keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(report, _READY)
        return 0
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    files = _prepare_process()
    keeper = Keeper(root, run, files)

    def ready() -> None:
        os.write(report, _READY)
        os.close(report)

    keeper.run(ready)
    return 0


def _prepare_process() -> tuple[int, int]:
    """What a parent of everything needs; the limit on open files as it was, for its children."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):  # those that the C library keeps to itself
            signal.signal(number, signal.SIG_IGN if number in IGNORED else signal.SIG_DFL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    kernel.become_subreaper()
    kernel.hide_memory()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files[1], files[1]))
    return files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
