"""Constant load beside a measurement, every failure counted by `cloudlet load` in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from common import waiting
from common.cloudlet import program
from measures import tiny

#: seconds until it ends by itself should this process die
_LONGEST = 600


@dataclass(slots=True)
class Traffic:
    """What came of it, once the block has ended."""

    sent: int = 0
    failed: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    longest_gap: float = 0.0


@contextmanager
def constant(stack: tiny.Stack, rate: int) -> Iterator[Traffic]:
    """So many GETs per second, due whether or not earlier ones came back."""
    command = [program(), "--output", "json", "load", stack.url, "--rate", f"{rate}/s", "--duration", f"{_LONGEST}s"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    traffic = Traffic()
    try:
        before = _requests(stack)
        waiting.until(lambda: _requests(stack) > before + rate / 10, "traffic", within=20.0, every=0.2)
        yield traffic
    finally:
        running.send_signal(signal.SIGINT)
        said, complaint = running.communicate(timeout=60)
    _take(json.loads(said) if said.strip() else {}, traffic, complaint)


def _requests(stack: tiny.Stack) -> int:
    services = {item["name"]: item for item in stack.cloudlet.status()["services"]}
    return int(services[tiny.SERVICE]["requests"])


def _take(report: dict[str, Any], traffic: Traffic, complaint: str) -> None:
    if not report:
        raise RuntimeError(f"cloudlet load printed nothing: {complaint.strip()}")
    traffic.sent, traffic.failed = int(report["sent"]), int(report["failed"])
    traffic.failures, traffic.longest_gap = dict(report["failures"]), float(report["max_gap"])
