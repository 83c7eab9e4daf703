"""A keeper on a state of its own. Whatever a test leaves behind is killed by its process id, even when it fails."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cloudlet.contracts.paths import StatePaths
from cloudlet.runtime.client import KeeperClient

from .programs import end_all


@pytest.fixture
def paths() -> Iterator[StatePaths]:
    """State below a folder that other users may pass through, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="keep-"))
    folder.chmod(0o711)
    state = StatePaths(folder / ".cloudlet")
    state.create()
    yield state
    end_all(state)
    shutil.rmtree(folder)


@pytest.fixture
async def keeper(paths: StatePaths) -> AsyncIterator[KeeperClient]:
    client = await KeeperClient.connect(paths)
    yield client
    await client.close()
