"""What processes may do when the keeper is root, and what limits hold."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import Limits, User
from cloudlet.errors import OperatorError
from cloudlet.runtime import cgroups
from cloudlet.runtime.client import KeeperClient
from cloudlet.runtime.keeper.cgroup import Hierarchy, find, write
from cloudlet.runtime.keeper.record import Limits as KeeperLimits
from cloudlet.runtime.users import FIRST, LAST, can_grant_reading, number_for, reachable

from .programs import FOREVER, command, end_all, next_exit, printed, python, shell, status, until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run processes as other users")
limited = pytest.mark.skipif(not cgroups.supported()[0], reason=cgroups.supported()[1])
UID = 61_999
CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@as_root
async def test_a_user_of_its_own_has_no_privilege(keeper: KeeperClient, paths: StatePaths) -> None:
    """All four user ids, the groups and every capability set are what was asked for, which is nothing."""
    process = await keeper.start(command(paths, "a-1", ("sleep", "60"), user=User(UID, UID)))
    assert status(process.pid, "Uid").split() == [str(UID)] * 4
    assert status(process.pid, "Gid").split() == [str(UID)] * 4
    assert status(process.pid, "Groups") == ""
    assert [int(status(process.pid, name), 16) for name in CAPABILITY_SETS] == [0] * 5
    assert status(process.pid, "NoNewPrivs") == "1"
    assert process.pid in (one.pid for one in (await keeper.processes()).values())


@as_root
@pytest.mark.skipif(not can_grant_reading(), reason="this root has no CAP_DAC_READ_SEARCH to give")
async def test_reads_all_is_that_one_capability(keeper: KeeperClient, paths: StatePaths) -> None:
    """CAP_DAC_READ_SEARCH in every set and nothing else: it reads what it may not, writes nothing."""
    exits = keeper.exits()
    locked = paths.root / "locked"
    locked.mkdir(mode=0o700)
    (locked / "text").write_text("found\n")
    user = User(UID, UID, reads_all=True)
    process = await keeper.start(command(paths, "a-1", ("sleep", "60"), user=user))
    assert [int(status(process.pid, name), 16) for name in CAPABILITY_SETS] == [1 << 2] * 5
    script = f"cat {locked}/text; touch {locked}/new || echo refused"
    await keeper.start(shell(paths, "a-2", script, user=user))
    await next_exit(exits)
    assert printed(paths, "a-2")[0] == "found" and printed(paths, "a-2")[-1] == "refused"
    await keeper.start(shell(paths, "a-3", f"cat {locked}/text || echo refused", user=User(UID, UID)))
    await next_exit(exits)
    assert printed(paths, "a-3")[-1] == "refused"


@as_root
async def test_a_user_may_open_its_own_output_only(keeper: KeeperClient, paths: StatePaths) -> None:
    """/dev/stdout can be opened again, as some servers do; keeper, state and logs are out of reach."""
    exits = keeper.exits()
    script = f"echo hello > /dev/stdout; cat {paths.keeper_state} {paths.log('a-1')} || echo refused"
    await keeper.start(shell(paths, "a-1", script, user=User(UID, UID)))
    await next_exit(exits)
    lines = printed(paths, "a-1")
    assert lines[0] == "hello" and lines[-1] == "refused"


@as_root
async def test_a_program_out_of_reach_is_said(keeper: KeeperClient, paths: StatePaths) -> None:
    """A folder that the user cannot enter and a program that it cannot execute are told with the user."""
    locked = paths.root / "locked"
    locked.mkdir(mode=0o700)
    with pytest.raises(OperatorError, match=f"cannot be entered by user {UID}: Permission denied"):
        await keeper.start(command(paths, "a-1", ("true",), user=User(UID, UID), directory=locked))
    (locked / "program").write_text("#!/bin/sh\n")
    with pytest.raises(OperatorError, match=f"program cannot be executed by user {UID}: Permission denied"):
        await keeper.start(command(paths, "a-1", (f"{locked}/program",), user=User(UID, UID)))


def test_users_are_stable_and_apart(tmp_path: Path) -> None:
    """The same name in the same stack has the same number, always within the range, never one that is taken."""
    first = number_for(tmp_path, "orders")
    assert first == number_for(tmp_path, "orders")
    assert FIRST <= first <= LAST
    assert number_for(tmp_path, "orders", {first}) != first
    taken: set[int] = set()
    for number in range(300):
        uid = number_for(tmp_path, f"service-{number}", taken)
        assert uid not in taken
        taken.add(uid)


@as_root
def test_the_folder_that_bars_the_way_is_named(paths: StatePaths) -> None:
    """Modes are followed along folders and symbolic links, and the reason holds the fix."""
    folder = paths.root / "open"
    locked = paths.root / "locked"
    for place, mode in ((folder, 0o755), (locked, 0o700)):
        place.mkdir()
        place.chmod(mode)
    (locked / "program").write_text("")
    (folder / "link").symlink_to(locked / "program")
    (folder / "text").write_text("")
    (folder / "text").chmod(0o644)
    assert reachable(UID, folder, folder / "text").ok
    barred = reachable(UID, folder / "text", folder / "link")
    assert not barred.ok
    assert barred.because.endswith(f"{locked} has mode 700; run `chmod o+x {locked}`, or move it elsewhere")


EATER = "import time\nheld = []\nwhile True:\n    held.append(b'x' * 1048576)\n    time.sleep(0.001)"


@limited
async def test_memory_is_limited(keeper: KeeperClient, paths: StatePaths) -> None:
    """One that takes more than its limit is killed, the log says why, and its group is removed."""
    exits = keeper.exits()
    await keeper.start(python(paths, "eater-1", EATER, limits=Limits(memory=48 * 2**20)))
    assert keeper.warnings == {}
    groups = _groups("eater-1")
    assert groups
    assert (await next_exit(exits, within=20)).signal == signal.SIGKILL
    said = f"[cloudlet] killed: it used more memory than its limit of {48 * 2**20} bytes"
    assert printed(paths, "eater-1")[-1] == said
    assert not any(group.exists() for group in groups)


@limited
async def test_cpu_is_limited_and_can_be_changed(keeper: KeeperClient, paths: StatePaths) -> None:
    """A process that only computes gets its share of a core, and a new one while it runs."""
    spin = "import time\nbegun = time.monotonic()\nwhile time.monotonic() - begun < 1: pass\n"
    spin += "print(time.process_time(), flush=True)\n"
    exits = keeper.exits()
    await keeper.start(python(paths, "spin-1", spin, limits=Limits(cpu=0.2)))
    await next_exit(exits)
    used = float(printed(paths, "spin-1")[0])
    print(f"0.2 cores allowed for 1 s: {used:.3f} s used")
    assert used < 0.4
    await keeper.start(shell(paths, "spin-2", FOREVER))
    assert await keeper.limit("spin-2", 0.5, 64 * 2**20) == ()
    limits = (await keeper.processes())["spin-2"].spec.limits
    assert (limits.cpu, limits.memory) == (0.5, 64 * 2**20)
    assert all("spin-2" in str(group) for group in _groups("spin-2")) and _groups("spin-2")
    await keeper.stop("spin-2")
    await next_exit(exits)
    await until(lambda: not _groups("spin-2"))


def _groups(name: str) -> list[Path]:
    return [path for path in Path("/sys/fs/cgroup").rglob(f"cloudlet-*-{name}") if path.is_dir()]


def test_the_unified_hierarchy_hands_controllers_on(tmp_path: Path) -> None:
    """Version 2: groups are made below the nearest ancestor that has the controllers and may hand them on."""
    mount, proc = tmp_path / "cgroup", tmp_path / "proc"
    own = mount / "user.slice" / "session.scope"
    for folder, controllers in ((own, ""), (own.parent, "memory pids"), (mount, "cpu memory pids")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.subtree_control").write_text("memory")
    (proc / "self").mkdir(parents=True)
    (proc / "mounts").write_text(f"cgroup2 {mount} cgroup2 rw 0 0\n")
    (proc / "self/cgroup").write_text("0::/user.slice/session.scope\n")
    assert find(proc) == ([Hierarchy(2, ("cpu", "memory"), mount)], "")
    assert (mount / "cgroup.subtree_control").read_text() == "+cpu +memory"
    for name in ("cpu.max", "memory.max", "memory.swap.max"):
        (own / name).write_text("")
    write(own, KeeperLimits(cpu=0.5, memory=1000))
    found = [(own / name).read_text() for name in ("cpu.max", "memory.max", "memory.swap.max")]
    assert found == ["50000 100000", "1000", "0"]
    (mount / "cgroup.controllers").write_text("memory pids")
    hierarchies, reason = find(proc)
    assert not hierarchies and "may hand on cpu and memory" in reason


def test_whether_limits_hold_is_said_in_a_sentence() -> None:
    """`supported` never answers without a reason."""
    ok, reason = cgroups.supported()
    print(ok, reason)
    assert reason and sys.platform == "linux"


@as_root
async def test_without_root_everything_else_holds(keeper: KeeperClient, paths: StatePaths) -> None:
    """The keeper of an ordinary user hands over processes and sockets too, and cannot become somebody else."""
    exits = keeper.exits()
    home = paths.root.parent / "home"
    home.mkdir()
    os.chown(home, UID, UID)
    argv = (sys.executable, str(Path(__file__).with_name("unprivileged.py")), str(home))
    source = str(Path(__file__).parents[2] / "src")
    user = User(UID, UID, reads_all=True)
    try:
        await keeper.start(command(paths, "a-1", argv, user=user, environment={"PYTHONPATH": source}))
        end = await next_exit(exits, within=30)
        assert (end.code, printed(paths, "a-1")[-1]) == (0, "ok"), printed(paths, "a-1")
    finally:
        end_all(StatePaths(home / ".cloudlet"))
    assert not (home / ".cloudlet/keeper.json").exists()
