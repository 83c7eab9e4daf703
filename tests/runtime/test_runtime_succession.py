"""The keeper is killed; its successor takes over what runs, what listens and what is printed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import HeldSocket, Restart
from cloudlet.errors import Refused
from cloudlet.runtime.client import KeeperClient

from .programs import FOREVER, alive, command, keeper_pid, next_exit, printed, python, shell, until

SERVER = """
import os, socket
held = socket.socket(fileno={descriptor})
print("serving", flush=True)
number = 0
while True:
    client, _ = held.accept()
    number += 1
    print("served", number, flush=True)
    client.sendall(str(os.getpid()).encode())
    client.close()
"""


async def kill_keeper(paths: StatePaths) -> int:
    """Whichever keeper runs, or the next one that does."""
    pid: int = await until(lambda: keeper_pid(paths))
    os.kill(pid, signal.SIGKILL)
    return pid


def ask(held: HeldSocket) -> int:
    """The process id of who answers on the socket."""
    with socket.create_connection((held.host, held.port), timeout=5) as connection:
        return int(connection.recv(64))


async def test_the_death_of_the_keeper_costs_nothing(keeper: KeeperClient, paths: StatePaths) -> None:
    """Killed while a process serves on a held socket: connections go on, the successor has process and socket under
    the same numbers, and what was printed meanwhile is in the log."""
    held = await keeper.listen("web", "127.0.0.1", 0)
    process = await keeper.start(python(paths, "a-1", SERVER.format(descriptor=held.descriptor), sockets=("web",)))
    assert ask(held) == process.pid
    await keeper.close()
    old = await kill_keeper(paths)
    await until(lambda: not alive(old))
    assert [ask(held) for _ in range(5)] == [process.pid] * 5
    begun = time.perf_counter()
    successor = await KeeperClient.connect(paths)
    print(f"succeeded in {(time.perf_counter() - begun) * 1e3:.0f} ms")
    assert keeper_pid(paths) not in (None, old)
    found = (await successor.processes())["a-1"]
    assert (found.pid, found.exit, found.spec) == (process.pid, None, process.spec)
    assert abs(found.started - process.started) < 1
    assert await successor.sockets() == {"web": held}
    assert ask(held) == process.pid
    await until(lambda: printed(paths, "a-1") == ["serving", *(f"served {n}" for n in range(1, 8))])
    await _another_serves(successor, paths, held, process.pid)
    await successor.close()


async def _another_serves(successor: KeeperClient, paths: StatePaths, held: HeldSocket, first: int) -> None:
    """The socket regained is the same one: a second process serves on it when the first has gone."""
    exits = successor.exits()
    os.kill(first, signal.SIGKILL)
    end = await next_exit(exits)
    assert (end.name, end.code, end.signal) == ("a-1", None, None)
    program = SERVER.format(descriptor=held.descriptor)
    second = await successor.start(python(paths, "a-2", program, sockets=("web",)))
    assert await asyncio.to_thread(ask, held) == second.pid


async def test_the_client_finds_a_successor_by_itself(keeper: KeeperClient, paths: StatePaths) -> None:
    """Connected while the keeper is killed: requests go on, and an exit in the gap is told once."""
    exits = keeper.exits()
    process = await keeper.start(shell(paths, "a-1", FOREVER))
    other = await keeper.start(shell(paths, "a-2", FOREVER))
    await kill_keeper(paths)
    os.kill(process.pid, signal.SIGKILL)
    end = await next_exit(exits)
    assert (end.name, end.pid, end.code, end.signal) == ("a-1", process.pid, None, None)
    assert str(end) == "ended, its status unknown"
    assert (await keeper.processes())["a-2"].pid == other.pid
    os.kill(other.pid, signal.SIGKILL)
    assert (await next_exit(exits)).name == "a-2"


async def test_a_start_in_flight_happens_once(keeper: KeeperClient, paths: StatePaths) -> None:
    """The keeper is killed again and again while processes are started: each runs exactly once."""
    for number in range(8):
        starting = asyncio.create_task(keeper.start(shell(paths, f"a-{number}", "echo up; " + FOREVER)))
        await asyncio.sleep(number * 0.002)
        await kill_keeper(paths)
        process = await asyncio.wait_for(starting, 10)
        assert alive(process.pid)
    found = await keeper.processes()
    for number in range(8):
        assert alive(found[f"a-{number}"].pid)
        await until(partial(has_printed, paths, f"a-{number}", ["up"]))


async def test_a_stop_is_carried_through_by_the_successor(keeper: KeeperClient, paths: StatePaths) -> None:
    """SIGKILL after the grace comes from the successor, when the keeper that began to stop has died."""
    exits = keeper.exits()
    process = await keeper.start(shell(paths, "a-1", "trap '' TERM; echo up; " + FOREVER))
    await until(lambda: printed(paths, "a-1") == ["up"])
    await keeper.stop("a-1", grace=0.5)
    await kill_keeper(paths)
    assert (await next_exit(exits)).pid == process.pid
    assert not alive(process.pid)


async def test_what_failed_in_the_gap_is_restarted(keeper: KeeperClient, paths: StatePaths) -> None:
    """ON_FAILURE holds over a succession, with the new process id told."""
    exits = keeper.exits()
    process = await keeper.start(shell(paths, "edge-1", FOREVER, restart=Restart.ON_FAILURE))
    await kill_keeper(paths)
    os.kill(process.pid, signal.SIGKILL)
    end = await next_exit(exits)
    assert end.pid == process.pid and end.restarted_as is not None and alive(end.restarted_as)


async def test_a_socket_nobody_has_is_bound_again(keeper: KeeperClient, paths: StatePaths) -> None:
    """No process inherited it, so the successor binds the same address and keeps the number."""
    held = await keeper.listen("web", "127.0.0.1", 0)
    names = await keeper.listen("names", "127.0.0.1", 0, datagram=True)
    await kill_keeper(paths)
    assert await keeper.sockets() == {"web": held, "names": names}
    socket.create_connection((held.host, held.port)).close()


async def test_after_a_boot_nothing_is_believed(keeper: KeeperClient, paths: StatePaths) -> None:
    """A state from before the machine was started again names processes that are others now: none is touched."""
    process = await keeper.start(command(paths, "a-1", ("sleep", "60"), restart=Restart.ON_FAILURE))
    try:
        await keeper.close()
        old = await kill_keeper(paths)
        await until(lambda: not alive(old))
        state = json.loads(paths.keeper_state.read_text())
        paths.keeper_state.write_text(json.dumps({**state, "boot": "another"}))
        successor = await KeeperClient.connect(paths)
        assert await successor.processes() == {} and alive(process.pid)
        await successor.close()
    finally:
        os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
def somebody() -> Iterator[socket.socket]:
    with socket.socket() as taker:
        yield taker


async def test_a_socket_that_is_lost_is_said(keeper: KeeperClient, paths: StatePaths, somebody: socket.socket) -> None:
    """Somebody else took the address meanwhile: the socket is not held any more, and the keeper's log says why."""
    held = await keeper.listen("web", "127.0.0.1", 0)
    await keeper.close()
    old = await kill_keeper(paths)
    await until(lambda: not alive(old))
    somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    somebody.bind((held.host, held.port))
    somebody.listen()
    successor = await KeeperClient.connect(paths)
    assert await successor.sockets() == {}
    assert "socket web is lost" in (paths.logs / "keeper.log").read_text()
    with pytest.raises(Refused, match="is taken by another program"):
        await successor.listen("web", held.host, held.port)
    await successor.close()


def has_printed(paths: StatePaths, name: str, lines: list[str]) -> bool:
    return printed(paths, name) == lines


def has_many_lines(paths: StatePaths, count: int) -> bool:
    return len(printed(paths, "a-1")) >= count


STREAM = """
import sys, time
for number in range(100000):
    sys.stdout.write(f"{number:06d} " + "x" * (number % 50) + "\\n")
sys.stdout.flush()
time.sleep(60)
"""


async def test_no_line_is_lost_or_doubled(keeper: KeeperClient, paths: StatePaths) -> None:
    """100,000 lines, and the keeper killed ten times in the middle of them: the log has each once, in order."""
    await keeper.start(python(paths, "a-1", STREAM))
    for round_ in range(1, 11):
        await until(partial(has_many_lines, paths, round_ * 4000))
        await kill_keeper(paths)
    await until(partial(has_many_lines, paths, 100_000))
    numbers = [int(line[:6]) for line in printed(paths, "a-1")]
    assert numbers == list(range(100_000))
