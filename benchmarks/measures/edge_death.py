"""From `kill -9` of HAProxy to the first answer on a new connection. Connections made meanwhile wait in the socket that
the keeper holds; one that is refused counts as failed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial

from common import waiting
from measures import tiny
from measures.measure import Measure


def measure(stack: tiny.Stack, rounds: int, say: Callable[[str], None]) -> list[Measure]:
    times, refused = [], []
    for number in range(rounds):
        pid = int(stack.cloudlet.edge()["pid"])
        took, errors = _back(stack.port, pid)
        times.append(took)
        refused.append(float(errors))
        say(f"HAProxy killed {number + 1} of {rounds}: answers after {took * 1000:.1f} ms, {errors} refused")
        waiting.until(partial(_is_back, stack, pid), "the edge ready", within=20.0, every=0.2)
    return [
        Measure("kill -9 of HAProxy to first answer", tuple(times), "ms", 0.05),
        Measure("new connections refused meanwhile", tuple(refused), "", 0, every=True),
    ]


def _back(port: int, pid: int) -> tuple[float, int]:
    errors, began = 0, time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while True:
        try:
            with tiny.connect(port) as connection:
                tiny.ask(connection)
        except OSError:
            errors += 1
            if time.monotonic() - began > 20.0:
                raise
            continue
        return time.monotonic() - began, errors


def _is_back(stack: tiny.Stack, before: int) -> bool:
    edge = stack.cloudlet.edge()
    return bool(edge["state"] == "ready" and edge["pid"] != before)
