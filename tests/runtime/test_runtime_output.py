"""What processes print, on its way to the log."""

from __future__ import annotations

import os
import resource
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlet.contracts.paths import StatePaths
from cloudlet.runtime.client import KeeperClient
from cloudlet.runtime.keeper.output import LONGEST_LINE, Output
from cloudlet.runtime.keeper.spool import Spool

from .programs import next_exit, printed, python, shell


async def test_each_line_has_its_time(keeper: KeeperClient, paths: StatePaths) -> None:
    """Both streams, in order, each line after its time in RFC 3339; a last line without an end is kept."""
    exits = keeper.exits()
    before = time.time()
    await keeper.start(shell(paths, "a-1", "echo out; echo err >&2; echo; printf unfinished"))
    await next_exit(exits)
    lines = paths.log("a-1").read_text().splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["out", "err", "", "unfinished"]
    for line in lines:
        stamp = line.partition(" ")[0]
        assert len(stamp) == 27 and stamp.endswith("Z")
        assert before - 0.1 <= datetime.fromisoformat(stamp).timestamp() <= time.time()
    assert paths.log("a-1").stat().st_mode & 0o777 == 0o600
    assert not list(paths.run.glob("a-1*"))


async def test_long_lines_are_split(keeper: KeeperClient, paths: StatePaths) -> None:
    """A line without end neither fills the memory nor is lost: it comes in pieces."""
    exits = keeper.exits()
    await keeper.start(python(paths, "a-1", f"print('x' * {LONGEST_LINE * 20 + 5}); print('after')"))
    await next_exit(exits)
    *pieces, last = printed(paths, "a-1")
    assert last == "after" and "".join(pieces) == "x" * (LONGEST_LINE * 20 + 5)
    assert max(map(len, pieces)) <= LONGEST_LINE


def log_lines(log: Path) -> list[str]:
    """Over all files, oldest first."""
    files = [path for n in range(9, 0, -1) if (path := log.with_name(f"{log.name}.{n}")).exists()]
    return [line.partition(" ")[2] for path in [*files, log] for line in path.read_text().splitlines()]


def test_rotation_loses_nothing_and_keeps_five(tmp_path: Path) -> None:
    """Files are rotated before they outgrow their size, a line is never cut, and the oldest of six goes."""
    output = Output(tmp_path, "a", tmp_path / "a.log", rotate_at=100_000)
    writer = os.open(output.fifo, os.O_RDWR)
    for number in range(15_000):
        os.write(writer, f"{number:05d}\n".encode())
        if number % 500 == 0:
            output.pump()
    output.finish()
    os.close(writer)
    sizes = [path.stat().st_size for path in tmp_path.glob("a.log*")]
    assert len(sizes) == 5 and max(sizes) <= 100_000
    numbers = [int(line) for line in log_lines(tmp_path / "a.log")]
    assert numbers == list(range(numbers[0], 15_000))


def test_a_full_disk_is_counted_and_said(tmp_path: Path) -> None:
    """Lines that cannot be written are lost, not the keeper; when it works again the log says how many."""
    output = Output(tmp_path, "a", tmp_path / "a.log")
    writer = os.open(output.fifo, os.O_RDWR)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        os.write(writer, b"before\n")
        output.pump()
        resource.setrlimit(resource.RLIMIT_FSIZE, (60, limits[1]))
        os.write(writer, b"one\ntwo\nthree\n")
        output.pump()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    os.write(writer, b"after\n")
    output.finish()
    os.close(writer)
    assert log_lines(tmp_path / "a.log") == ["before", "[cloudlet] 3 lines were lost here: File too large", "after"]


class Killed(Exception):
    """The keeper, at this point."""


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text("ab\n", min_size=1, max_size=40), min_size=1, max_size=8),
    at=st.integers(0, 60),
)
def test_interrupted_anywhere_it_goes_on_exactly(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], at: int
) -> None:
    """Interrupted at any change of the spool's header, a successor's log holds each byte once, in order."""
    folder = tmp_path_factory.mktemp("spool")
    steps = 0
    output = Output(folder, "a", folder / "a.log")
    writer = os.open(output.fifo, os.O_RDWR)
    saved = Spool._save

    def save(spool: Spool, incoming: int = 0, writing: int = 0, offset: int = 0) -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            raise Killed
        saved(spool, incoming, writing, offset)
        if steps + 1 == at:
            steps += 1
            raise Killed

    Spool._save = save  # type: ignore[method-assign]
    unwritten = list(texts)
    try:
        while unwritten:
            os.write(writer, unwritten.pop(0).encode())
            output.pump()
    except Killed:
        pass
    finally:
        Spool._save = saved  # type: ignore[method-assign]
    os.close(output.descriptor)
    successor = Output(folder, "a", folder / "a.log")
    for text in unwritten:
        os.write(writer, text.encode())
    successor.finish()
    os.close(writer)
    whole = "".join(texts)
    assert log_lines(folder / "a.log") == whole.removesuffix("\n").split("\n")
