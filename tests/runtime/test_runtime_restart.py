"""What the keeper starts again by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import Restart
from cloudlet.runtime.client import KeeperClient
from cloudlet.runtime.keeper import backoff

from .programs import FOREVER, alive, next_exit, printed, shell, until


async def test_one_that_failed_is_back_in_milliseconds(keeper: KeeperClient, paths: StatePaths) -> None:
    """ON_FAILURE: killed, it runs again at once under its restart command, and the exit says as what."""
    exits = keeper.exits()
    spec = shell(
        paths, "edge-1", FOREVER, restart=Restart.ON_FAILURE, restart_argv=("sh", "-c", "echo again; " + FOREVER)
    )
    process = await keeper.start(spec)
    begun = time.perf_counter()
    os.kill(process.pid, signal.SIGKILL)
    end = await next_exit(exits)
    print(f"back after {(time.perf_counter() - begun) * 1e3:.1f} ms")
    assert end.pid == process.pid and end.restarted_as is not None
    await until(lambda: printed(paths, "edge-1") == ["again"])
    again = (await keeper.processes())["edge-1"]
    assert (again.pid, again.restarts, again.exit) == (end.restarted_as, 1, None)


async def test_an_end_that_was_meant_is_an_end(keeper: KeeperClient, paths: StatePaths) -> None:
    """ON_FAILURE leaves alone what exited with 0 or was stopped."""
    exits = keeper.exits()
    await keeper.start(shell(paths, "edge-1", "exit 0", restart=Restart.ON_FAILURE))
    assert (await next_exit(exits)).restarted_as is None
    await keeper.start(shell(paths, "edge-2", FOREVER, restart=Restart.ON_FAILURE))
    await keeper.stop("edge-2")
    end = await next_exit(exits)
    assert end.signal == signal.SIGTERM and end.restarted_as is None
    assert (await keeper.processes())["edge-2"].exit == end


async def test_a_crash_loop_is_slowed_down(keeper: KeeperClient, paths: StatePaths) -> None:
    """ON_FAILURE with a broken configuration: started again ever more slowly, each end and each start told."""
    exits = keeper.exits()
    await keeper.start(shell(paths, "edge-1", "echo broken; exit 1", restart=Restart.ON_FAILURE))
    assert (await next_exit(exits)).restarted_as is not None
    told = [await next_exit(exits) for _ in range(4)]
    assert [end.restarted_as is not None for end in told] == [False, True, False, True]
    assert told[1].at == told[0].at and told[1].pid == told[0].pid
    await keeper.stop("edge-1")
    count = len(printed(paths, "edge-1"))
    assert 3 <= count <= 5


async def test_a_delayed_restart_gives_way(keeper: KeeperClient, paths: StatePaths) -> None:
    """While a restart is waited for, a controller may start the name itself, or forget it."""
    exits = keeper.exits()
    await keeper.start(shell(paths, "edge-1", "exit 1", restart=Restart.ON_FAILURE))
    while (await next_exit(exits)).restarted_as is not None:
        pass
    process = await keeper.start(shell(paths, "edge-1", FOREVER, restart=Restart.ON_FAILURE))
    await asyncio.wait_for(_settled(keeper, "edge-1", process.pid), 5)


async def _settled(keeper: KeeperClient, name: str, pid: int) -> None:
    """It is the only one that ran for longer than the delay would have been."""
    until_time = time.monotonic() + 0.3
    while time.monotonic() < until_time:
        assert (await keeper.processes())[name].pid == pid
        await asyncio.sleep(0.02)


async def test_attended_processes_are_the_controllers(keeper: KeeperClient, paths: StatePaths) -> None:
    """UNATTENDED with a controller attached: the end is told and nothing more."""
    exits = keeper.exits()
    process = await keeper.start(shell(paths, "a-1", FOREVER, restart=Restart.UNATTENDED))
    os.kill(process.pid, signal.SIGKILL)
    assert (await next_exit(exits)).restarted_as is None
    assert (await keeper.processes())["a-1"].exit is not None


async def test_unattended_processes_are_kept_running(paths: StatePaths) -> None:
    """UNATTENDED without a controller: started again, also what had ended while the last one was there; a stopped
    one stays stopped."""
    client = await KeeperClient.connect(paths)
    exits = client.exits()
    specs = [shell(paths, f"a-{n}", FOREVER, restart=Restart.UNATTENDED) for n in range(3)]
    first, ended, stopped = [await client.start(spec) for spec in specs]
    os.kill(ended.pid, signal.SIGKILL)
    await next_exit(exits)
    await client.stop("a-2")
    await next_exit(exits)
    await client.close()
    os.kill(first.pid, signal.SIGKILL)
    state = paths.keeper_state
    await until(lambda: state.read_text().count('"restarts":1') == 2)
    client = await KeeperClient.connect(paths)
    found = await client.processes()
    assert [found[f"a-{n}"].restarts for n in range(3)] == [1, 1, 0]
    assert found["a-0"].exit is None and found["a-0"].pid != first.pid and alive(found["a-1"].pid)
    assert found["a-2"].exit is not None and found["a-2"].pid == stopped.pid
    await client.close()


async def test_a_successor_is_not_restarted_until_confirmed(keeper: KeeperClient, paths: StatePaths) -> None:
    """Until `confirm` the successor that dies stays dead and the predecessor is still restarted; after it, the
    other way round."""
    exits = keeper.exits()
    old = await keeper.start(shell(paths, "edge-1", FOREVER, restart=Restart.ON_FAILURE))
    new = await keeper.start(shell(paths, "edge-2", FOREVER, restart=Restart.ON_FAILURE, replaces="edge-1"))
    os.kill(new.pid, signal.SIGKILL)
    assert (await next_exit(exits)).restarted_as is None
    os.kill(old.pid, signal.SIGKILL)
    old_pid = (await next_exit(exits)).restarted_as
    assert old_pid is not None
    new = await keeper.start(shell(paths, "edge-3", FOREVER, restart=Restart.ON_FAILURE, replaces="edge-1"))
    await keeper.confirm("edge-3")
    os.kill(old_pid, signal.SIGKILL)
    assert (await next_exit(exits)).restarted_as is None
    os.kill(new.pid, signal.SIGKILL)
    assert (await next_exit(exits)).restarted_as is not None


@given(st.integers(0, 200), st.booleans())
def test_delays_grow_and_stay_bounded(quick_deaths: int, attended: bool) -> None:
    """The first restart is at once, later ones never sooner than the one before and never beyond ten seconds."""
    ended = backoff.Ended(backoff.ON_FAILURE, failed=True, released=False, quick_deaths=quick_deaths)
    after = backoff.Ended(backoff.ON_FAILURE, failed=True, released=False, quick_deaths=quick_deaths + 1)
    delay, later = (backoff.delay(one, attended=attended) for one in (ended, after))
    assert delay is not None and later is not None
    assert 0 <= delay <= later <= 10
    assert (delay == 0) == (quick_deaths <= 1)


@pytest.mark.parametrize("restart", list(Restart))
@pytest.mark.parametrize("attended", [True, False])
def test_nobody_brings_back_what_was_released(restart: Restart, attended: bool) -> None:
    """Stopped on purpose or not yet confirmed: no policy restarts it."""
    ended = backoff.Ended(restart.value, failed=True, released=True, quick_deaths=0)
    assert backoff.delay(ended, attended=attended) is None
