"""Small programs that tests run, and waiting for what they do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import Exit, ProcessSpec, Restart
from cloudlet.runtime.keeper import procfs

PATH = "/usr/local/bin:/usr/bin:/bin"
FOREVER = "while :; do sleep 60; done"


def shell(paths: StatePaths, name: str, script: str, **changes: Any) -> ProcessSpec:
    return command(paths, name, ("sh", "-c", script), **changes)


def python(paths: StatePaths, name: str, program: str, **changes: Any) -> ProcessSpec:
    return command(paths, name, (sys.executable, "-S", "-c", program), **changes)


def command(paths: StatePaths, name: str, argv: tuple[str, ...], **changes: Any) -> ProcessSpec:
    spec = ProcessSpec(
        name=name,
        argv=argv,
        directory=Path("/"),
        environment={"PATH": PATH},
        log=paths.log(name),
        restart=Restart.NEVER,
        grace=5.0,
    )
    return replace(spec, **changes)


async def next_exit(exits: AsyncIterator[Exit], within: float = 10.0) -> Exit:
    return await asyncio.wait_for(anext(exits), within)


async def until(condition: Callable[[], Any], within: float = 10.0) -> Any:
    """What it returned when it first was true."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.005)
    return found


def keeper_pid(paths: StatePaths) -> int | None:
    """The keeper that runs on this state."""
    try:
        pid = int((paths.run / "keeper.lock").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ValueError):
        return None
    return pid if os.fsencode(paths.root) in words else None


def alive(pid: int) -> bool:
    found = procfs.stat(pid)
    return found is not None and found.alive


def printed(paths: StatePaths, name: str) -> list[str]:
    """The lines of its log without their times."""
    try:
        text = paths.log(name).read_text(errors="replace")
    except FileNotFoundError:
        return []
    return [line.partition(" ")[2] for line in text.splitlines()]


def status(pid: int, field: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return line.partition(":")[2].strip()
    raise AssertionError(f"no {field} in the status of {pid}")


def end_all(state: StatePaths) -> None:
    """Kill the keeper of this state and all it runs, by process id, whatever state a test left them in."""
    pid = keeper_pid(state)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not state.keeper_state.exists():
        return
    for name, record in json.loads(state.keeper_state.read_text())["processes"].items():
        fifo = state.run / f"{name}.fifo"
        left = procfs.family(record["pid"] or 0, fifo) if fifo.exists() else []
        if record["pid"] and procfs.runs(record["pid"], record["started_ticks"]):
            left.append(record["pid"])
        for one in left:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
