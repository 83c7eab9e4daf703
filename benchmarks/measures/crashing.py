"""From `kill -9` of an instance until HAProxy gives it nothing more, under constant load with failures counted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from common import waiting
from measures import tiny
from measures.measure import Measure
from measures.rotation import Rotation
from measures.traffic import constant

_INSTANCES = 4
#: requests per second
_RATE = 500


def measure(stack: tiny.Stack, rounds: int, say: Callable[[str], None]) -> list[Measure]:
    stack.scale(_INSTANCES)
    stack.wait_serving(_INSTANCES)
    rotation, times = Rotation(stack.cloudlet.file), []
    with constant(stack, _RATE) as traffic:
        for number in range(rounds):
            victim = stack.cloudlet.instances(tiny.SERVICE)[number % _INSTANCES]
            times.append(_out(rotation, int(victim["pid"]), int(victim["port"])))
            say(f"killed {number + 1} of {rounds}: out after {times[-1] * 1000:.1f} ms")
            stack.wait_serving(_INSTANCES)
    say(f"{traffic.failed} of {traffic.sent:,} requests failed beside {rounds} kills {traffic.failures or ''}")
    return [
        Measure("kill -9 of an instance to out of rotation", tuple(times), "ms", 0.1),
        Measure(f"failed of {traffic.sent:,} GETs beside those kills", (float(traffic.failed),), "", 0),
    ]


def _out(rotation: Rotation, pid: int, port: int) -> float:
    assert rotation.holds(tiny.SERVICE, port), f"the server at {port} was not in rotation"
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    waiting.until(lambda: not rotation.holds(tiny.SERVICE, port), f"{port} out of rotation", every=0.0005)
    return time.monotonic() - began
