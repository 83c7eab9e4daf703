"""Load beside what a test does meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from cloudlet.load import LoadPlan, Report, run_blocking


@dataclass
class Running:
    """`report` is there when the load has ended."""

    report: Report | None = None


@contextmanager
def load(plan: LoadPlan) -> Iterator[Running]:
    """Make the load while the block runs, and wait for its end."""
    running = Running()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run_blocking, plan)
        try:
            yield running
        finally:
            running.report = future.result()


def every(seconds: float, times: int, act: Callable[[], object]) -> None:
    """Do it so many times at this pace, whatever it takes itself."""
    pace, begin = Event(), time.monotonic()
    for turn in range(1, times + 1):
        pace.wait(max(0.0, begin + turn * seconds - time.monotonic()))
        act()


def said(report: Report) -> str:
    """The counts, for a test to print."""
    return f"{report.failures or 'none'} failed of {report.sent}, longest without a success {report.max_gap:.3f} s"
