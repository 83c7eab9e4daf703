"""What cloudlet itself costs with many instances that do nothing: its daemon and its keeper. HAProxy, whose checks go
on, and the instances are not the control plane; HAProxy's share is printed beside it."""

from __future__ import annotations

import time
from collections.abc import Callable

from common import procfs
from measures import tiny
from measures.measure import Measure

#: seconds after the start before it counts as idle
_SETTLES = 5.0


def measure(instances: int, windows: int, seconds: float, say: Callable[[str], None]) -> list[Measure]:
    with tiny.stack(instances) as stack:
        stack.wait_serving(instances)
        control, data = stack.cloudlet.control_plane(), stack.cloudlet.data_plane()
        time.sleep(_SETTLES)
        shares, edge, proportional, resident = [], [], [], []
        for number in range(windows):
            before = procfs.cpu_seconds(control), procfs.cpu_seconds(data)
            began = time.monotonic()
            time.sleep(seconds)
            passed = time.monotonic() - began
            shares.append((procfs.cpu_seconds(control) - before[0]) / passed)
            edge.append((procfs.cpu_seconds(data) - before[1]) / passed)
            memory = procfs.memory(control)
            proportional.append(float(memory[0]))
            resident.append(float(memory[1]))
            say(f"idle {number + 1} of {windows}: {shares[-1]:.2%} of a core, {memory[0] / 1e6:.1f} MB")
    return [
        Measure(f"control plane, {instances} instances, idle: share of a core", tuple(shares), "%", 0.01),
        Measure("  its memory, shared pages divided (PSS)", tuple(proportional), "MB", 120e6),
        Measure("  its memory, shared pages in full (RSS)", tuple(resident), "MB", 120e6),
        Measure("  HAProxy beside it, checking: share of a core", tuple(edge), "%"),
    ]
