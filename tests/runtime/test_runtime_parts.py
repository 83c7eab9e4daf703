"""The parts of the runtime that need no keeper: ports, environment, usage, logs read back."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cloudlet.runtime.environment import inherited_environment, instance_environment
from cloudlet.runtime.keeper.output import Output
from cloudlet.runtime.logs import LogLine, follow, tail
from cloudlet.runtime.ports import HIGHEST, LOWEST, free_port
from cloudlet.runtime.usage import group_usage

from .programs import until


def test_a_port_is_free_and_not_taken() -> None:
    """Never one that is taken, bound by TCP or by UDP."""
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        stream.bind(("127.0.0.1", free_port(set())))
        datagram.bind(("127.0.0.1", free_port(set())))
        left = {free_port(set()), stream.getsockname()[1], datagram.getsockname()[1]}
        everything = set(range(LOWEST, HIGHEST + 1))
        assert free_port(everything - left) in left - {stream.getsockname()[1], datagram.getsockname()[1]}


def environment(uses: dict[str, dict[str, str]], own: dict[str, str] | None = None) -> dict[str, str]:
    base = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x", "HOME": "/home/me", "LANG": "C.UTF-8"}
    return instance_environment("shop", "orders", "orders-1", 20001, "127.0.0.1", own or {}, uses, base)


DATABASE = {"SHOP_DB_URL": "postgresql://a@b/c", "SHOP_DB_READ_URL": "postgresql://a@r/c"}
CACHE = {"SESSIONS_URL": "redis://b:1"}


def test_an_instance_finds_what_it_uses() -> None:
    """FILE.md's table: who it is, what it uses, the aliases for a single database and cache, its own settings."""
    found = environment({"shop-db": DATABASE, "sessions": CACHE, "users": {"USERS_URL": "http://b:2"}}, {"A": "1"})
    assert found["PORT"] == "20001" and found["HOST"] == "127.0.0.1"
    assert found["CLOUDLET_STACK"] == "shop" and found["CLOUDLET_SERVICE"] == "orders"
    assert found["CLOUDLET_INSTANCE"] == "orders-1"
    assert found["DATABASE_URL"] == found["SHOP_DB_URL"] and found["REDIS_URL"] == found["SESSIONS_URL"]
    assert found["A"] == "1" and found["PATH"] == "/bin" and found["LANG"] == "C.UTF-8"
    assert "AWS_SECRET_ACCESS_KEY" not in found


def test_two_databases_have_no_alias() -> None:
    """Which one would be meant is a guess, so there is none; the file's own word stands."""
    two = {"shop-db": DATABASE, "other": {"OTHER_URL": "postgresql://x"}}
    assert "DATABASE_URL" not in environment(two)
    assert environment(two, {"DATABASE_URL": "mine"})["DATABASE_URL"] == "mine"


@given(st.dictionaries(st.text("ABCDEFGHIJ_", min_size=1, max_size=12), st.text(max_size=5)), st.booleans())
def test_nothing_else_is_inherited(base: dict[str, str], root: bool) -> None:
    """Whatever cloudlet's environment holds, an instance sees only what the list names, and never root's home."""
    found = inherited_environment({**base, "HOME": "/root"}, root=root)
    assert set(found) <= {"PATH", "HOME", "PYTHONUNBUFFERED"}
    assert found["HOME"] == ("/nonexistent" if root else "/root")


def test_usage_counts_descendants() -> None:
    """CPU time and memory of a process and of its child, and nothing for one that has gone."""
    burn = "import subprocess, sys\nx = bytearray(20 << 20)\n"
    burn += "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    child = burn + "print('up', flush=True)\ntime.sleep(60)"
    parent = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-S', '-c', {child!r}]).wait()"
    with subprocess.Popen([sys.executable, "-S", "-c", parent], stdout=subprocess.PIPE, start_new_session=True) as top:
        try:
            assert top.stdout is not None and top.stdout.readline() == b"up\n"
            usage = group_usage([top.pid, 2**22 + 1])
            assert list(usage) == [top.pid]
            assert 0.2 <= usage[top.pid].cpu_seconds < 5
            assert 20 << 20 < usage[top.pid].memory < 100 << 20
            begun = time.perf_counter()
            group_usage([top.pid] * 50)
            print(f"50 pairs of processes looked at in {(time.perf_counter() - begun) * 1e3:.1f} ms")
        finally:
            os.killpg(top.pid, 9)


class Printer:
    """Writes a log as the keeper does, in files of 2,000 bytes."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.log"
        self._output = Output(folder, name, self.path, rotate_at=2000)
        self._writer = os.open(self._output.fifo, os.O_RDWR)

    def print(self, *lines: str) -> None:
        for line in lines:
            os.write(self._writer, line.encode() + b"\n")
            self._output.pump()

    def close(self) -> None:
        os.close(self._writer)
        self._output.finish()


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


def test_the_last_lines_come_from_all_files_by_time(tmp_path: Path) -> None:
    """Over rotated files and several logs, in the order in which they were printed."""
    one, two = Printer(tmp_path, "a-1"), Printer(tmp_path, "b-1")
    for number in range(100):
        (one if number % 3 else two).print(f"line {number}")
    files = {"a-1": one.path, "b-1": two.path, "c-1": tmp_path / "c-1.log"}
    assert len(list(tmp_path.glob("a-1.log*"))) == 2
    lines = tail(files, 90)
    assert texts(lines) == [f"line {number}" for number in range(10, 100)]
    assert {line.instance for line in lines} == {"a-1", "b-1"}
    assert abs(lines[-1].at - time.time()) < 10
    assert texts(tail(files, 1)) == ["line 99"] and tail(files, 0) == []
    one.close()
    two.close()


async def test_following_misses_nothing_over_rotations(tmp_path: Path) -> None:
    """From the last lines on every line once, in order, though the files rotate and one log begins later."""
    one = Printer(tmp_path, "a-1")
    one.print("before 1", "before 2", "before 3")
    found: list[str] = []

    async def read() -> None:
        async for line in follow({"a-1": one.path, "b-1": tmp_path / "b-1.log"}, 2):
            found.append(line.text)  # noqa: PERF401 - they are looked at while they come

    reading = asyncio.create_task(read())
    await until(lambda: found == ["before 2", "before 3"])
    for number in range(150):
        one.print(f"line {number}")
    two = Printer(tmp_path, "b-1")
    two.print("later")
    await until(lambda: len(found) == 153)
    assert [text for text in found if text != "later"][2:] == [f"line {number}" for number in range(150)]
    reading.cancel()
    one.close()
    two.close()
