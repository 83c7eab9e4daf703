"""What becomes of counts when the edge's process is replaced, or dies."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from dataclasses import replace

import pytest

from cloudlet.edge.difference import How
from cloudlet.edge.limits.plan import plan

from .conftest import Harness
from .limits import Limited, limit, limited, passed

_LIMITS = {
    "token": limit("token-bucket", "1/h", "client", 20),
    "fixed": limit("fixed-window", "20/d"),
    "sliding": limit("sliding-counter", "20/d"),
}


@pytest.fixture
def edge(harness: Harness) -> Limited:
    return Limited(harness)


async def able_to_hand_over(edge: Limited) -> None:
    """A process begun from nothing waits 5 s for peers to learn from, and hands nothing over before."""
    socket = edge.harness.edge._socket
    assert socket is not None
    async with asyncio.timeout(15):
        while True:
            found = re.search(r"flags=0x([0-9a-f]+)", await socket.ask("show peers"))
            if found and int(found[1], 16) & 3 == 3:
                return
            await asyncio.sleep(0.05)


async def carried_over(edge: Limited, tables: list[str]) -> None:
    """What a predecessor knew has arrived."""
    socket = edge.harness.edge._socket
    assert socket is not None
    async with asyncio.timeout(5):
        for table in tables:
            while "used:1" not in await socket.ask(f"show table {table}"):
                await asyncio.sleep(0.002)


async def test_counts_go_over_to_the_next_process(edge: Limited) -> None:
    """15 of 20 are spent, and after two successions in a row 5 are left, for each algorithm."""
    names = ("token", "fixed", "sliding")
    before = await edge.start(*(limited(f"/{name}/*", _LIMITS[name]) for name in names), limited("/free/*"))
    await able_to_hand_over(edge)
    for name in names:
        assert passed(await edge.burst(15, f"/{name}/x")) == 15
    for sample in (0.5, 0.25):
        assert (await edge.harness.edge.apply(replace(before, log_sample=sample))).how is How.SUCCESSION
    await carried_over(edge, list(plan(before).native()))
    await edge.get("/free/x")  # the last on the predecessor's connection, which would count there
    for name in names:
        assert passed(await edge.burst(10, f"/{name}/x")) == 5, name


async def test_a_death_of_haproxy_forgets_what_it_counted(edge: Limited) -> None:
    """Nothing else can be: the tables are its memory. A count in Valkey stays (test_limits_store.py)."""
    await edge.start(limited("/*", _LIMITS["token"]))
    assert passed(await edge.burst(25)) == 20
    pid = edge.harness.edge.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        while edge.harness.edge.restarts == 0:
            await asyncio.sleep(0.005)
    assert passed(await edge.burst(25)) == 20
