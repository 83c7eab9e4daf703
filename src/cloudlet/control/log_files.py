"""Which log files a question is about."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from cloudlet.contracts.paths import StatePaths
from cloudlet.errors import Refused


def log_files(
    paths: StatePaths,
    present: Collection[str],
    known_services: Collection[str],
    services: Collection[str],
    instances: Collection[str],
) -> dict[str, Path]:
    """The log file of each process named by service or instance, or of every `present` instance when none is. Raises
    Refused for a name that nobody has."""
    if not services and not instances:
        return {name: paths.log(name) for name in sorted(present)}
    there = {path.name.removesuffix(".log") for path in paths.logs.glob("*.log")} | set(present)
    known = {*there, *known_services}
    unknown = [name for name in (*services, *instances) if name not in known]
    if unknown:
        raise Refused(f"nothing is called {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    named = {name for name in there if name.rpartition("-")[0] in services or name in (*instances, *services)}
    return {name: paths.log(name) for name in sorted(named)}
