"""Processes started, watched and stopped by a real keeper."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from pathlib import Path

import pytest

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import Limits
from cloudlet.errors import OperatorError, Refused
from cloudlet.runtime.client import KeeperClient

from .programs import (
    FOREVER,
    alive,
    command,
    keeper_pid,
    next_exit,
    printed,
    python,
    shell,
    until,
)


async def test_a_process_is_started_and_its_exit_status_told(keeper: KeeperClient, paths: StatePaths) -> None:
    """A process runs as asked, and its end is told with its status and kept until it is forgotten."""
    exits = keeper.exits()
    started = await keeper.start(shell(paths, "a-1", "exit 7", labels={"service": "a"}))
    end = await next_exit(exits)
    assert (end.name, end.pid, end.code, end.signal) == ("a-1", started.pid, 7, None)
    kept = (await keeper.processes())["a-1"]
    assert kept.exit == end and kept.spec == started.spec
    await keeper.forget("a-1")
    assert await keeper.processes() == {}


async def test_death_is_noticed_by_the_exit(keeper: KeeperClient, paths: StatePaths) -> None:
    """SIGKILL of an instance is told within milliseconds, with the signal."""
    exits, took = keeper.exits(), []
    for number in range(7):
        process = await keeper.start(shell(paths, f"a-{number}", FOREVER))
        begun = time.perf_counter()
        os.kill(process.pid, signal.SIGKILL)
        assert (await next_exit(exits)).signal == signal.SIGKILL
        took.append(time.perf_counter() - begun)
    print(f"death noticed: median {statistics.median(took) * 1e3:.1f} ms, most {max(took) * 1e3:.1f} ms, n=7")


async def test_starting_takes_milliseconds(keeper: KeeperClient, paths: StatePaths) -> None:
    """Fifty processes started at once all run; the time for each is printed."""
    begun = time.perf_counter()
    specs = [command(paths, f"a-{number}", ("sleep", "60")) for number in range(50)]
    processes = await asyncio.gather(*map(keeper.start, specs))
    took = time.perf_counter() - begun
    assert all(alive(process.pid) for process in processes)
    pid = keeper_pid(paths)
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    print(f"50 started in {took * 1e3:.0f} ms, keeper {resident / 2**20:.1f} MiB")
    begun = time.perf_counter()
    await asyncio.gather(*(keeper.stop(spec.name) for spec in specs))
    await until(lambda: not any(alive(process.pid) for process in processes))
    print(f"50 stopped in {(time.perf_counter() - begun) * 1e3:.0f} ms")


async def test_a_name_that_runs_is_refused(keeper: KeeperClient, paths: StatePaths) -> None:
    """A second process of one name is refused while the first runs, and taken when it has ended."""
    await keeper.start(shell(paths, "a-1", FOREVER))
    with pytest.raises(Refused, match="a-1 still runs, as process"):
        await keeper.start(shell(paths, "a-1", "exit 0"))
    with pytest.raises(Refused, match="still runs"):
        await keeper.forget("a-1")
    exits = keeper.exits()
    await keeper.stop("a-1", grace=0)
    assert (await next_exit(exits)).signal == signal.SIGKILL
    await keeper.start(shell(paths, "a-1", "exit 0"))
    assert (await next_exit(exits)).code == 0


@pytest.mark.parametrize(
    ("argv", "directory", "message"),
    [
        (("no-such-program",), "/", "there is no program no-such-program on its PATH"),
        (("/no/such/program",), "/", "there is no program /no/such/program"),
        (("/etc/passwd",), "/", "/etc/passwd cannot be executed: Permission denied"),
        (("true",), "/no/such/folder", "its folder /no/such/folder cannot be entered: No such file"),
    ],
)
async def test_what_cannot_be_executed_is_said(
    keeper: KeeperClient, paths: StatePaths, argv: tuple[str, ...], directory: str, message: str
) -> None:
    """A missing program or folder is the starter's error, at once, and leaves no record."""
    with pytest.raises(OperatorError, match=message):
        await keeper.start(command(paths, "a-1", argv, directory=Path(directory)))
    assert await keeper.processes() == {}
    assert not list(paths.run.glob("a-1*"))


async def test_a_missing_interpreter_is_said(keeper: KeeperClient, paths: StatePaths) -> None:
    """A script whose first line names what is not there does not look like a missing script."""
    script = paths.root / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with pytest.raises(OperatorError, match="names an interpreter that is not there"):
        await keeper.start(command(paths, "a-1", (str(script),)))


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "a b", "x" * 101])
async def test_a_name_that_is_no_file_name_is_refused(keeper: KeeperClient, paths: StatePaths, name: str) -> None:
    """Names become files of the keeper's, so nothing that leads elsewhere is taken."""
    with pytest.raises(Refused, match="cannot name a process"):
        await keeper.start(shell(paths, name, "exit 0", log=paths.log("a")))


async def test_nothing_is_inherited_but_what_was_asked_for(keeper: KeeperClient, paths: StatePaths) -> None:
    """The environment is the given one, the descriptors are the three streams, a session of its own, signals as a
    fresh process has them, and no new privileges."""
    process = await keeper.start(
        command(paths, "a-1", ("sleep", "60"), environment={"PATH": "/usr/bin:/bin", "SECRET": "pa55word"})
    )
    own = Path(f"/proc/{process.pid}")
    environment = dict(word.split(b"=", 1) for word in own.joinpath("environ").read_bytes().split(b"\0") if word)
    assert environment == {b"PATH": b"/usr/bin:/bin", b"SECRET": b"pa55word"}
    assert b"pa55word" not in own.joinpath("cmdline").read_bytes()
    assert b"pa55word" not in Path(f"/proc/{keeper_pid(paths)}/cmdline").read_bytes()
    await until(lambda: sorted(os.listdir(own / "fd")) == ["0", "1", "2"])
    assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
    text = own.joinpath("status").read_text()
    found = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert found["NoNewPrivs"] == "1"
    # signals 32 and 33 are the C library's own: nobody can change what a parent far above did with them
    assert int(found["SigIgn"], 16) & ~(0b11 << 31) == 0
    assert found["SigBlk"] == "0000000000000000"
    assert own.joinpath("oom_score_adj").read_text().strip() == "0"
    assert paths.keeper_state.stat().st_mode & 0o777 == 0o600
    assert paths.log("a-1").parent.stat().st_mode & 0o777 == 0o700


async def test_the_limit_of_open_files_is_set(keeper: KeeperClient, paths: StatePaths) -> None:
    """`limits.files` is what the process sees, both soft and hard."""
    exits = keeper.exits()
    await keeper.start(shell(paths, "a-1", "ulimit -Sn; ulimit -Hn", limits=Limits(files=64)))
    await next_exit(exits)
    assert printed(paths, "a-1") == ["64", "64"]


FAMILY = """
import os, subprocess, sys, time
subprocess.Popen(["sleep", "60"])
subprocess.Popen(["sh", "-c", "sleep 60 & wait"])
subprocess.Popen(["sleep", "61"], start_new_session=True)
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
    os._exit(0)
os.wait()
print("up", flush=True)
time.sleep(60)
"""


async def test_the_whole_family_ends_with_its_head(keeper: KeeperClient, paths: StatePaths) -> None:
    """Children, grandchildren, and those with sessions of their own are gone when the exit is told, and no zombie
    of theirs is left."""
    exits = keeper.exits()
    process = await keeper.start(python(paths, "a-1", FAMILY))
    await until(lambda: printed(paths, "a-1") == ["up"])
    family = _prints_to(paths.run / "a-1.fifo")
    assert len(family) >= 6
    os.kill(process.pid, signal.SIGKILL)
    assert (await next_exit(exits)).signal == signal.SIGKILL
    assert not any(alive(pid) for pid in family)
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))


def _prints_to(fifo: Path) -> list[int]:
    found = []
    keeping = os.stat(fifo)
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.path.samestat(os.stat(entry / "fd/1"), keeping):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def test_stop_is_gentle_then_not(keeper: KeeperClient, paths: StatePaths) -> None:
    """A process that obeys its stop signal ends with its own status; one that ignores it is killed after the
    grace."""
    exits = keeper.exits()
    trap = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done"
    await keeper.start(shell(paths, "good-1", trap))
    await keeper.start(shell(paths, "bad-1", "trap '' TERM; echo up; " + FOREVER))
    await until(lambda: printed(paths, "good-1") == printed(paths, "bad-1") == ["up"])
    begun = time.monotonic()
    await keeper.stop("good-1")
    assert (await next_exit(exits)).code == 5
    assert printed(paths, "good-1") == ["up", "bye"]
    begun = time.monotonic()
    await keeper.stop("bad-1", grace=0.3)
    end = await next_exit(exits)
    assert end.signal == signal.SIGKILL and 0.3 <= time.monotonic() - begun < 2.0


async def test_a_server_behind_a_shell_gets_its_grace(keeper: KeeperClient, paths: StatePaths) -> None:
    """When the shell dies of the stop signal, the server it started gets the signal too and time to finish."""
    exits = keeper.exits()
    server = "import signal, time\nsignal.signal(15, lambda *_: (time.sleep(0.2), print('done', flush=True), exit()))"
    server += "\nprint('up', flush=True)\nwhile True: time.sleep(60)"
    (paths.root / "server.py").write_text(server)
    spec = shell(paths, "a-1", f"python3 {paths.root}/server.py; true")
    await keeper.start(spec)
    await until(lambda: printed(paths, "a-1") == ["up"])
    await keeper.stop("a-1")
    assert (await next_exit(exits)).signal == signal.SIGTERM
    assert printed(paths, "a-1") == ["up", "done"]


async def test_stop_goes_on_without_who_asked(paths: StatePaths) -> None:
    """The client that asked for a stop may die: SIGKILL comes all the same."""
    client = await KeeperClient.connect(paths)
    process = await client.start(shell(paths, "a-1", "trap '' TERM; echo up; " + FOREVER))
    await until(lambda: printed(paths, "a-1") == ["up"])
    await client.stop("a-1", grace=0.2)
    await client.close()
    await until(lambda: not alive(process.pid), within=3)


async def test_signals_reach_the_process_alone(keeper: KeeperClient, paths: StatePaths) -> None:
    """A signal is for the process, not its group; one that ended cannot be sent any."""
    exits = keeper.exits()
    await keeper.start(shell(paths, "a-1", "trap 'echo usr1; exit 0' USR1; echo up; while :; do sleep 0.01; done"))
    await until(lambda: printed(paths, "a-1") == ["up"])
    await keeper.signal("a-1", signal.SIGUSR1)
    assert (await next_exit(exits)).code == 0
    with pytest.raises(Refused, match="does not run any more"):
        await keeper.signal("a-1", signal.SIGUSR1)
    with pytest.raises(Refused, match="there is no process b-1"):
        await keeper.stop("b-1")
