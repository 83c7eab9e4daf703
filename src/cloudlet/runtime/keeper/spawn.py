"""Starting a process: fork, and wait until the child has executed its program or said why it could not.

Not subprocess or posix_spawn: neither can join a cgroup, keep one capability, or place a socket at a number
of ours.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from cloudlet.runtime.keeper.child import Launch, become
from cloudlet.runtime.keeper.errors import Impossible

#: those that the keeper handles: not while there are two of it
_HANDLED = (signal.SIGCHLD, signal.SIGTERM)


def spawn(launch: Launch) -> tuple[int, list[str]]:
    """Its process id, and warnings. Raises Impossible when the program or its folder cannot be used."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        pid = os.fork()
        if not pid:
            become(launch, writing)
    except OSError as error:
        os.close(reading)
        raise Impossible(f"no process can be started: {error.strerror}") from error
    finally:
        os.close(writing)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    report = _read(reading)
    if "problem" in report:
        os.waitpid(pid, 0)
        raise Impossible("; ".join([report["problem"], *report.get("warnings", [])]))
    return pid, report.get("warnings", [])


def _read(descriptor: int) -> dict[str, Any]:
    """What the child said until it executed, which closed its end."""
    report: dict[str, Any] = {}
    with os.fdopen(descriptor, encoding="utf-8") as file:
        for line in file:
            report |= json.loads(line)
    return report
