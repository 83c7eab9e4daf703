"""Starting a keeper: in a session of its own, with nobody's descriptors, and nothing of our environment."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import cloudlet
from cloudlet.contracts.paths import StatePaths
from cloudlet.errors import DependencyError

#: bytes of the keeper's own log, looked at when one is started
_LOG_AT_MOST = 1024 * 1024


class KeeperDied(Exception):
    """The keeper ended before it listened, and gave no reason: it was killed."""


async def launch(paths: StatePaths) -> None:
    """Return when a keeper listens, whoever started it: two at once are settled by its lock.

    Raises DependencyError with the reason when it cannot run, KeeperDied.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    log = os.open(_fresh(paths.logs / "keeper.log"), flags, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            *_command(paths),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise DependencyError(f"no keeper can be started with {sys.executable}: {error.strerror}") from error
    finally:
        os.close(log)
    answer, _ = await process.communicate()
    if process.returncode and answer:
        raise DependencyError(f"{answer.decode(errors='replace')}; {paths.logs / 'keeper.log'} says more")
    if process.returncode:
        raise KeeperDied(f"it was killed as it started; {paths.logs / 'keeper.log'} may say more")


def _fresh(log: Path) -> Path:
    """Put a log that grew aside; a keeper says little."""
    if log.exists() and log.stat().st_size > _LOG_AT_MOST:
        log.replace(log.with_name(f"{log.name}.1"))
    return log


def _command(paths: StatePaths) -> list[str]:
    # without site: the standard library is all it needs, and the start takes a third less
    program = [sys.executable, "-S", "-P", "-m", "cloudlet.runtime.keeper", "--detach"]
    return [*program, str(paths.root), str(paths.run)]


def _environment() -> dict[str, str]:
    """Where to find cloudlet, and nothing else: the keeper outlives whoever starts it."""
    return {"PYTHONPATH": str(Path(cloudlet.__file__).parents[1]), "LC_ALL": "C.UTF-8", "PATH": os.defpath}
