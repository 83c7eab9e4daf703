"""For all tests: what the fault tests counted is said at the end, also when their output is captured."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each count of a fault test that passed."""
    passed = [report for report in terminalreporter.stats.get("passed", []) if report.nodeid.startswith("tests/faults")]
    counts = [line for report in passed for line in report.capstdout.splitlines() if line.strip()]
    if counts:
        terminalreporter.section("counted under faults")
        for line in counts:
            terminalreporter.write_line(line)
