"""Instances killed under load: nothing idempotent fails, nothing else is sent twice."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cloudlet.contracts.edge import Server

from .conftest import Harness, backend
from .load import Load, Tally

_REPOSITORY = Path(__file__).parents[2]


class Instance:
    """An upstream in a process of its own, which can be killed. It writes each body it gets to a file."""

    def __init__(self, name: str, log: Path) -> None:
        self.name, self._log = name, log

    async def start(self) -> Server:
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.edge.instance", str(self._log),
            cwd=_REPOSITORY, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._child.stdout is not None
        port = int(await self._child.stdout.readline())
        return Server(self.name, int(self.name.rpartition("-")[2]), "127.0.0.1", port)

    async def kill(self) -> None:
        self._child.send_signal(signal.SIGKILL)
        await self._child.wait()


async def _kill_and_replace(harness: Harness, instances: list[Instance], times: int, every: float) -> None:
    for turn in range(times):
        victim = instances[turn % len(instances)]
        await asyncio.sleep(every)  # load between two kills
        await victim.kill()
        await harness.edge.fail_server("a", victim.name)
        await harness.edge.add_server("a", await victim.start())


async def _under_fire(harness: Harness, log: Path, load: Load, times: int, every: float) -> Tally:
    instances = [Instance(f"a-{n}", log) for n in (1, 2, 3)]
    try:
        await harness.start(backend("a", *[await instance.start() for instance in instances]))
        async with load as tally:
            await _kill_and_replace(harness, instances, times, every)
        return tally
    finally:
        for instance in instances:
            await instance.kill()


@pytest.mark.parametrize("times", [4, pytest.param(20, marks=pytest.mark.soak)])
async def test_no_get_fails_when_instances_are_killed(harness: Harness, tmp_path: Path, times: int) -> None:
    """Instances die by SIGKILL under load, and no GET notices."""
    load = Load(f"http://127.0.0.1:{harness.port}/", 16)
    tally = await _under_fire(harness, tmp_path / "bodies", load, times, 0.3 if times < 10 else 1.0)
    print(f"{tally.sent} GETs, {times} instances killed: {tally.failed} failed", dict(tally.outcomes))
    assert tally.failed == 0


@pytest.mark.parametrize("times", [4, pytest.param(20, marks=pytest.mark.soak)])
async def test_no_post_is_sent_twice_when_instances_are_killed(harness: Harness, tmp_path: Path, times: int) -> None:
    """A POST under way on the instance that dies fails with 502 and is replayed nowhere."""
    log = tmp_path / "bodies"
    load = Load(f"http://127.0.0.1:{harness.port}/", 16, "POST", numbered=True)
    tally = await _under_fire(harness, log, load, times, 0.3 if times < 10 else 1.0)
    bodies = Counter(log.read_text().split())
    twice = [body for body, count in bodies.items() if count > 1]
    print(
        f"{tally.sent} POSTs, {times} instances killed: {len(twice)} seen twice, {tally.failed} failed",
        dict(tally.outcomes),
    )
    assert not twice
    assert tally.outcomes.keys() <= {"200", "502"}
    assert tally.failed <= 16 * times


async def test_the_only_instance_dies_with_requests(harness: Harness, tmp_path: Path) -> None:
    """GETs under way on the only instance, and those that come, wait for the next one."""
    instance = Instance("a-1", tmp_path / "bodies")
    await harness.start(backend("a", await instance.start()))
    try:
        async with Load(f"http://127.0.0.1:{harness.port}/", 16) as tally:
            for _ in range(3):
                await asyncio.sleep(0.3)  # load between two kills
                await instance.kill()
                await harness.edge.fail_server("a", "a-1")
                await harness.edge.add_server("a", await instance.start())
    finally:
        await instance.kill()
    print(f"{tally.sent} GETs, the only instance killed 3 times: {tally.failed} failed", dict(tally.outcomes))
    assert tally.failed == 0


async def test_a_post_with_an_idempotency_key_is_retried(harness: Harness) -> None:
    """It says itself that it may be sent again."""
    cut = 0

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cut
        await reader.readuntil(b"\r\n\r\n")
        cut += 1
        writer.close()

    broken = await asyncio.start_server(break_off, "127.0.0.1", 0)
    port = broken.sockets[0].getsockname()[1]
    good = replace((await harness.servers("a", 1))[0], name="a-2", ordinal=2, weight=1)
    await harness.start(backend("a", Server("a-1", 1, "127.0.0.1", port, 256), good, check=None))
    async with harness.client.post("/", data=b"x") as answer:
        assert answer.status == 502
        assert answer.content_type == "application/problem+json"
    async with harness.client.post("/", data=b"y", headers={"Idempotency-Key": "1"}) as answer:
        assert answer.status == 200
        assert json.loads(await answer.text())["body"] == "y"
    assert cut >= 1
    assert harness.upstreams[0].bodies == [b"y"] or harness.upstreams[0].bodies == [b"x", b"y"]
    broken.close()


async def test_crashes_of_haproxy_cost_only_what_is_in_flight(harness: Harness) -> None:
    """Three SIGKILLs under load: no connection is refused, and a client that asks again is served."""
    await harness.start(backend("a", *await harness.servers("a", 2)))
    async with Load(f"http://127.0.0.1:{harness.port}/", 8) as tally:
        for turn in range(3):
            await asyncio.sleep(0.2)  # load between two crashes
            await harness.supervisor.signal("edge-1", signal.SIGKILL)
            async with asyncio.timeout(5):
                while harness.edge.restarts <= turn:
                    await asyncio.sleep(0.005)
    print(f"{tally.sent} requests over 3 crashes: {tally.failed} cut in flight", dict(tally.outcomes))
    assert tally.failed <= 3 * 8
    assert "ClientConnectorError" not in tally.outcomes
