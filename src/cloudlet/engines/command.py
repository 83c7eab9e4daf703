"""Run a short program of an engine (initdb) as its user, and translate its failure."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from cloudlet.contracts.process import User
from cloudlet.errors import EngineFailed

_RUN_AS = Path(__file__).with_name("run_as.py")
#: lines of its output that a failure quotes
_QUOTED = 8


async def run(command: Sequence[str], user: User | None, secret: str | None = None, timeout: float = 300.0) -> None:
    """Run to its end, at most `timeout` seconds. Raises EngineFailed.

    The secret is what the program reads on its standard input: a pipe that its user may also open by
    /dev/stdin.
    """
    reader = _pipe_with(secret or "", user)
    try:
        process = await asyncio.create_subprocess_exec(
            *_as_user(user),
            *command,
            stdin=reader,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise EngineFailed(f"cannot start {command[0]}: {error}") from error
    finally:
        os.close(reader)
    await _finish(process, command[0], timeout)


async def _finish(process: asyncio.subprocess.Process, program: str, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except TimeoutError:
        raise EngineFailed(f"{program} did not end within {timeout:g} s") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # what it started holds its output open
            await process.wait()
    if process.returncode != 0:
        tail = "\n".join(output.decode(errors="replace").strip().splitlines()[-_QUOTED:])
        raise EngineFailed(f"{program} failed with status {process.returncode}:\n{tail}")


def _as_user(user: User | None) -> tuple[str, ...]:
    who = ("-1", "-1", "0") if user is None else (str(user.uid), str(user.gid), str(int(user.reads_all)))
    return (sys.executable, "-I", "-S", str(_RUN_AS), *who)


def _pipe_with(text: str, user: User | None) -> int:
    """The reading end of a pipe that holds the text; short enough to fit its buffer."""
    reader, writer = os.pipe()
    try:
        if user is not None:
            os.fchown(reader, user.uid, user.gid)
        os.write(writer, text.encode())
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return reader
