"""How clients come to a keeper, and what a keeper holds for them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudlet.contracts.paths import StatePaths
from cloudlet.errors import Refused
from cloudlet.runtime.client import KeeperClient

from .programs import FOREVER, alive, command, keeper_pid, next_exit, shell, status, until


async def test_many_callers_at_once_share_one_keeper(paths: StatePaths) -> None:
    """Clients that race to start a keeper all end up with the same one."""
    begun = time.perf_counter()
    clients = await asyncio.gather(*(KeeperClient.connect(paths) for _ in range(6)))
    print(f"6 clients connected in {(time.perf_counter() - begun) * 1e3:.0f} ms")
    await clients[0].start(shell(paths, "a-1", FOREVER))
    for client in clients:
        assert list(await client.processes()) == ["a-1"]
    running = [p for p in Path("/proc").iterdir() if p.name.isdigit() and _is_keeper(p, paths)]
    assert [path.name for path in running] == [str(keeper_pid(paths))]
    for client in clients:
        await client.close()


def _is_keeper(process: Path, paths: StatePaths) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(paths.root) in words and alive(int(process.name))


async def test_a_stale_socket_is_replaced(paths: StatePaths) -> None:
    """A socket file whose keeper is gone does not keep a new one from starting."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(paths.keeper_socket))
    client = await KeeperClient.connect(paths)
    assert paths.keeper_socket.stat().st_mode & 0o777 == 0o600
    await client.shutdown()
    await client.close()


async def test_the_keeper_stands_alone(keeper: KeeperClient, paths: StatePaths) -> None:
    """Its own session, no environment of ours, not our child; it holds nothing open but its own, and is small."""
    pid = keeper_pid(paths)
    assert pid is not None and os.getsid(pid) == pid
    assert int(status(pid, "PPid")) != os.getpid()
    assert b"HOME=" not in Path(f"/proc/{pid}/environ").read_bytes()
    modules = "import cloudlet.runtime.keeper.__main__, sys; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-S", "-c", modules],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    ours = {name for name in found.stdout.split() if name.partition(".")[0] == "cloudlet"}
    assert all(name in ("cloudlet", "cloudlet.runtime") or "keeper" in name for name in ours)
    print(f"keeper resident: {status(pid, 'VmRSS')}")


async def test_shutdown_ends_what_it_is_told_to(paths: StatePaths) -> None:
    """An empty keeper ends and leaves nothing; one that keeps something refuses, unless forced."""
    client = await KeeperClient.connect(paths)
    process = await client.start(shell(paths, "a-1", FOREVER))
    with pytest.raises(Refused, match="still has a-1"):
        await client.shutdown()
    pid = keeper_pid(paths)
    await asyncio.wait_for(client.shutdown(force=True), 10)
    await client.close()
    assert pid is not None and not alive(process.pid)
    await until(lambda: not alive(pid))
    assert not paths.keeper_state.exists() and not paths.keeper_socket.exists()


async def test_exits_end_when_the_client_closes(paths: StatePaths) -> None:
    """Whoever waits for exits is let go by `close`."""
    client = await KeeperClient.connect(paths)
    exits = client.exits()
    waiting = asyncio.create_task(anext(exits, None))
    await client.shutdown()
    await client.close()
    assert await asyncio.wait_for(waiting, 5) is None
    with pytest.raises(Refused, match="was closed"):
        await client.processes()


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as somebody else")
async def test_others_are_turned_away(keeper: KeeperClient, paths: StatePaths) -> None:
    """The socket is closed to other users by its mode, and by who they are should the mode be changed."""
    with socket.socket(socket.AF_UNIX) as peer, as_user(61_999), pytest.raises(PermissionError):
        peer.connect(str(paths.keeper_socket))
    paths.keeper_socket.chmod(0o666)
    request = json.dumps({"id": 1, "op": "ping"}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(5)
        with as_user(61_999):
            peer.connect(str(paths.keeper_socket))
        try:
            peer.sendall(request)
            assert await asyncio.to_thread(peer.recv, 100) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass


async def test_nonsense_does_not_hurt(keeper: KeeperClient, paths: StatePaths) -> None:
    """A request that is no JSON, misses something or asks for the unknown is answered, and the keeper goes on."""
    reader, writer = await asyncio.open_unix_connection(paths.keeper_socket)
    for request in (b"nonsense", b'{"id": 1}', b'{"id": 2, "op": "start"}', b'{"id": 3, "op": "dance"}', b"[]"):
        writer.write(request + b"\n")
        assert "error" in json.loads(await asyncio.wait_for(reader.readline(), 5))
    writer.close()
    assert await keeper.processes() == {}


def open_files(pid: int) -> set[int]:
    return {int(entry) for entry in os.listdir(f"/proc/{pid}/fd")}


async def test_sockets_are_held_under_fixed_numbers(keeper: KeeperClient, paths: StatePaths) -> None:
    """The same name and address gives the same socket, numbers are never used twice, and only the process that
    asks inherits them."""
    web = await keeper.listen("web", "127.0.0.1", 0)
    names = await keeper.listen("names", "::1", 0, datagram=True)
    assert web.descriptor >= 100 and web.port > 0 and names.datagram
    assert await keeper.listen("web", "127.0.0.1", web.port) == web
    with pytest.raises(Refused, match="release it first"):
        await keeper.listen("web", "127.0.0.1", 1)
    with pytest.raises(Refused, match=f"127.0.0.1:{web.port} is taken"):
        await keeper.listen("other", "127.0.0.1", web.port)
    with pytest.raises(Refused, match="is not an IP address"):
        await keeper.listen("other", "example.com", 0)
    with pytest.raises(Refused, match="no socket is held under the name nope"):
        await keeper.start(shell(paths, "a-0", FOREVER, sockets=("nope",)))
    one = await keeper.start(command(paths, "a-1", ("sleep", "60"), sockets=("web", "names")))
    two = await keeper.start(command(paths, "a-2", ("sleep", "60")))
    await until(lambda: open_files(one.pid) == {0, 1, 2, web.descriptor, names.descriptor})
    await until(lambda: open_files(two.pid) == {0, 1, 2})
    await keeper.release("web")
    socket.create_connection(("127.0.0.1", web.port)).close()  # the process keeps it
    exits = keeper.exits()
    await keeper.stop("a-1")
    await next_exit(exits)
    again = await keeper.listen("web", "127.0.0.1", web.port)
    assert again.descriptor > names.descriptor
