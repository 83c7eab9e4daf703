"""From the moment an added instance listens to its first request through the gateway, which includes that cloudlet
finds out that it is ready and tells HAProxy."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from common.waiting import TookTooLong
from measures import tiny
from measures.measure import Measure

#: seconds
_PATIENCE = 30.0


def measure(stack: tiny.Stack, rounds: int, say: Callable[[str], None]) -> list[Measure]:
    """Leaves the stack with one instance more than none."""
    after_ready, after_command, failed = [], [], []
    stack.scale(1)
    stack.wait_serving(1)
    with ThreadPoolExecutor(1) as beside:
        for number in range(rounds):
            began = time.monotonic()
            command = beside.submit(stack.scale, 2)
            first, answer, errors = _first_of_another(stack.port)
            command.result()
            after_ready.append(first - answer.ready)
            after_command.append(first - began)
            failed.append(float(errors))
            stack.scale(1)
            stack.wait_serving(1)
            say(f"added {number + 1} of {rounds}: first request {after_ready[-1] * 1000:.1f} ms after it listened")
    return [
        Measure("instance listens to first request", tuple(after_ready), "ms", 0.05),
        Measure("`scale` +1 to first request", tuple(after_command), "ms"),
        Measure("failed requests per added instance", tuple(failed), "", 0, every=True),
    ]


def _first_of_another(port: int) -> tuple[float, tiny.Answer, int]:
    """When an instance other than the present one first answered, what it said, and requests that failed till then."""
    deadline = time.monotonic() + _PATIENCE
    errors, present = 0, None
    connection = tiny.connect(port)
    try:
        while time.monotonic() < deadline:
            try:
                answer = tiny.ask(connection)
            except OSError:
                errors += 1
                connection.close()
                connection = tiny.connect(port)
                continue
            present = answer.pid if present is None else present
            if answer.pid != present:
                return time.monotonic(), answer, errors
    finally:
        connection.close()
    raise TookTooLong(f"no added instance answered within {_PATIENCE:g} s")
