"""Short programs run as the engine's user, and their failures in words."""

from __future__ import annotations

import os

import pytest

from cloudlet.contracts.process import User
from cloudlet.engines.command import run
from cloudlet.errors import EngineFailed


async def test_the_words_of_a_failure_are_in_the_error() -> None:
    """Status and the end of the output, standard error included."""
    with pytest.raises(EngineFailed, match="status 3:\nfirst\nsecond"):
        await run(("/bin/sh", "-c", "echo first; echo second >&2; exit 3"), None)


async def test_a_program_that_is_not_there_is_a_failure() -> None:
    """No traceback of another kind escapes."""
    with pytest.raises(EngineFailed, match="/nonexistent/program"):
        await run(("/nonexistent/program",), None)


async def test_a_program_that_hangs_is_ended() -> None:
    """It is killed when its time is over."""
    with pytest.raises(EngineFailed, match=r"did not end within 0\.2 s"):
        await run(("/bin/sleep", "60"), None, timeout=0.2)


async def test_the_secret_comes_over_standard_input(user: User | None) -> None:
    """The user may open it by name as well, as initdb does."""
    with pytest.raises(EngineFailed, match="got it: hidden"):
        await run(("/bin/sh", "-c", 'read -r x < /dev/stdin; echo "got it: $x"; exit 1'), user, secret="hidden")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("reads_all", "capabilities"), [(False, "0000000000000000"), (True, "0000000000000004")])
async def test_nothing_of_root_is_left(reads_all: bool, capabilities: str) -> None:
    """User, groups and capabilities are the unprivileged ones, and cannot be won back."""
    script = 'grep -E "^(Uid|Gid|Groups|CapEff|CapPrm|CapAmb):" /proc/self/status; exit 1'
    with pytest.raises(EngineFailed) as caught:
        await run(("/bin/sh", "-c", script), User(61190, 61191, reads_all=reads_all))
    shown = dict(line.split(":") for line in str(caught.value).splitlines()[1:])
    assert shown["Uid"].split() == ["61190"] * 4
    assert shown["Gid"].split() == ["61191"] * 4
    assert shown["Groups"].split() == []
    assert {shown[name].strip() for name in ("CapEff", "CapPrm", "CapAmb")} == {capabilities}
