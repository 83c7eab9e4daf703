"""A keeper on a state of its own. Whatever a test leaves behind is killed by its process id, even when it fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cloudlet.contracts.paths import StatePaths
from cloudlet.runtime.client import KeeperClient
from cloudlet.runtime.keeper import procfs

from .programs import keeper_pid


@pytest.fixture
def paths() -> Iterator[StatePaths]:
    """State below a folder that other users may pass through, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="keep-"))
    folder.chmod(0o711)
    state = StatePaths(folder / ".cloudlet")
    state.create()
    yield state
    _end_all(state)
    shutil.rmtree(folder)


@pytest.fixture
async def keeper(paths: StatePaths) -> AsyncIterator[KeeperClient]:
    client = await KeeperClient.connect(paths)
    yield client
    await client.close()


def _end_all(state: StatePaths) -> None:
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
