"""What changes while the edge is being settled is settled too, and a settling that failed is made again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.control.settling import Settling, Wanted
from cloudlet.errors import EngineFailed


class Slow:
    """An edge that takes a configuration when it is let, and whatever else is settled, of which there is none."""

    def __init__(self) -> None:
        self.applied: list[int] = []
        self.let, self.begun = asyncio.Event(), asyncio.Event()
        self.fails = False
        self.runs: dict[str, Any] = {}

    async def apply(self, wanted: Any, *_: object) -> None:
        if isinstance(wanted, EdgeConfiguration):
            self.begun.set()
            await self.let.wait()
            if self.fails:
                raise EngineFailed("haproxy does not answer")
            self.applied.append(wanted.replicas)

    async def sockets(self) -> dict[str, Any]:
        return {}


class Design:
    """How many replicas are wanted."""

    def __init__(self) -> None:
        self.replicas = 1

    def wanted(self) -> Wanted:
        return Wanted(EdgeConfiguration(replicas=self.replicas), (), [], ())


def settling(slow: Any, design: Design) -> Settling:
    return Settling(slow, slow, slow, slow, design.wanted, lambda _: None)


async def test_a_change_during_a_settling_is_settled_by_the_next_turn() -> None:
    """A key set or a certificate may come at any moment; it is not forgotten because something else was under way."""
    slow, design = Slow(), Design()
    made = settling(slow, design)
    made.unsettle()
    first = asyncio.create_task(made.again(100.0))
    await slow.begun.wait()
    design.replicas = 2
    made.unsettle()
    slow.let.set()
    await first
    await made.again(101.0)
    await made.again(200.0)
    assert slow.applied == [1, 2], "the change is settled, once"


async def test_a_settling_that_failed_is_made_again_after_a_pause() -> None:
    """An edge that does not answer is not asked every fifty milliseconds, and not given up either."""
    slow, design = Slow(), Design()
    made = settling(slow, design)
    slow.let.set()
    made.unsettle()
    slow.fails = True
    with pytest.raises(EngineFailed):
        await made.again(100.0)
    slow.fails = False
    await made.again(104.0)
    assert slow.applied == []
    await made.again(105.0)
    assert slow.applied == [1]


async def test_nothing_is_settled_while_somebody_changes_what_is_wanted() -> None:
    """An apply that holds sockets and builds engines settles by itself when it has them."""
    slow, design = Slow(), Design()
    made = settling(slow, design)
    slow.let.set()
    made.unsettle()
    async with made.changing:
        await made.again(100.0)
    assert slow.applied == []
