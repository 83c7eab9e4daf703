"""CPU and memory limits by control groups: version 2, or version 1 with its controllers each in a hierarchy.

Groups are made below the keeper's own group where that is possible (limits around it stay in force), in
version 2 below the nearest ancestor that may hand its controllers on: a group with processes in it may not
(cgroups(7)). https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cloudlet.runtime.keeper.record import Limits

_PERIOD = 100_000  # microseconds, the kernel's default
_CONTROLLERS = ("cpu", "memory")
_UNLIMITED_V1 = "-1"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where groups for these controllers can be made. `version` is 1 or 2."""

    version: int
    controllers: tuple[str, ...]
    parent: Path


def find(root: Path = Path("/proc")) -> tuple[list[Hierarchy], str]:
    """The usable hierarchies, and why a controller has none (empty when all have)."""
    found: list[Hierarchy] = []
    reasons: list[str] = []
    mounts, own = _mounts(root), _own_groups(root)
    for controller in _CONTROLLERS:
        mount = mounts.get(controller)
        if mount is None:
            continue
        parent = _first_writable(mount, own.get(controller, "/"))
        if parent is not None:
            found.append(Hierarchy(1, (controller,), parent))
        else:
            reasons.append(f"{mount} cannot be written")
    left = [name for name in _CONTROLLERS if name not in mounts]
    if left:
        unified = _find_unified(mounts.get(""), own.get("", "/"), left)
        if isinstance(unified, Hierarchy):
            found.append(unified)
        else:
            reasons.append(unified)
    return found, "; ".join(reasons)


def _mounts(root: Path) -> dict[str, Path]:
    """Controller → mount point; "" is the unified hierarchy."""
    mounts: dict[str, Path] = {}
    for line in (root / "mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            mounts.setdefault("", Path(place))
        elif kind == "cgroup":
            for controller in set(options.split(",")) & set(_CONTROLLERS):
                mounts.setdefault(controller, Path(place))
    return mounts


def _own_groups(root: Path) -> dict[str, str]:
    own: dict[str, str] = {}
    for line in (root / "self/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), place)
    return own


def _upwards(mount: Path, own: str) -> Iterable[Path]:
    """The own group and its ancestors; in a container the path may lie outside of what is mounted."""
    place = mount / own.lstrip("/")
    while place != mount and mount in place.parents:
        if place.is_dir():
            yield place
        place = place.parent
    yield mount


def _first_writable(mount: Path, own: str) -> Path | None:
    return next((place for place in _upwards(mount, own) if os.access(place, os.W_OK)), None)


def _find_unified(mount: Path | None, own: str, wanted: list[str]) -> Hierarchy | str:
    if mount is None:
        return "no cgroup file system is mounted"
    for place in _upwards(mount, own):
        if os.access(place, os.W_OK) and _hand_on(place, wanted):
            return Hierarchy(2, tuple(wanted), place)
    return f"no group at or above {mount / own.lstrip('/')} may hand on {' and '.join(wanted)}"


def _hand_on(place: Path, wanted: list[str]) -> bool:
    control = place / "cgroup.subtree_control"
    try:
        if not set(wanted) <= set((place / "cgroup.controllers").read_text().split()):
            return False
        if not set(wanted) <= set(control.read_text().split()):
            control.write_text(" ".join(f"+{name}" for name in wanted))
    except OSError:
        return False
    return True


def create(name: str, limits: Limits) -> tuple[list[str], list[str]]:
    """Groups with these limits, and warnings for what cannot be limited."""
    wanted = _wanted(limits)
    if not wanted:
        return [], []
    hierarchies, reason = find()
    groups: list[str] = []
    warnings: list[str] = []
    for hierarchy in hierarchies:
        if not set(hierarchy.controllers) & set(wanted):
            continue
        group = hierarchy.parent / name
        try:
            group.mkdir(exist_ok=True)
            groups.append(str(group))
            write(group, limits)
        except OSError as error:
            warnings.append(f"its limits do not hold: {group}: {error.strerror}")
    missing = set(wanted) - {controller for one in hierarchies for controller in one.controllers}
    if missing:
        warnings.append(f"no limit on {' and '.join(sorted(missing))}: {reason}")
    return groups, warnings


def _wanted(limits: Limits) -> list[str]:
    values = {"cpu": limits.cpu, "memory": limits.memory}
    return [name for name, value in values.items() if value is not None]


def write(group: Path, limits: Limits) -> None:
    """Put the limits in force, of the controllers that this group has."""
    quota = None if limits.cpu is None else max(1000, int(limits.cpu * _PERIOD))
    memory = None if limits.memory is None else str(limits.memory)
    _set(group / "cpu.max", f"{quota or 'max'} {_PERIOD}")
    _set(group / "memory.max", memory or "max")
    _set(group / "memory.swap.max", "0" if memory else "max")
    _set(group / "cpu.cfs_period_us", str(_PERIOD))
    _set(group / "cpu.cfs_quota_us", _UNLIMITED_V1 if quota is None else str(quota))
    _write_memory_v1(group, memory or _UNLIMITED_V1)


def _write_memory_v1(group: Path, memory: str) -> None:
    """Memory with swap may never be less than memory alone, so which comes first depends on the direction."""
    alone, with_swap = group / "memory.limit_in_bytes", group / "memory.memsw.limit_in_bytes"
    try:
        _set(alone, memory)
        _set(with_swap, memory)
    except OSError:
        _set(with_swap, memory)
        _set(alone, memory)


def _set(file: Path, value: str) -> None:
    if file.exists():
        file.write_text(value)


def move(groups: Iterable[str], pids: Iterable[int]) -> None:
    for group in groups:
        for pid in pids:
            with contextlib.suppress(OSError):  # it ended
                Path(group, "cgroup.procs").write_text(str(pid))


def memory_kills(groups: Iterable[str]) -> int:
    """How many processes of these groups the kernel killed for want of memory."""
    for group in groups:
        for file in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                lines = [line.split() for line in Path(group, file).read_text().splitlines()]
                return sum(int(value) for key, value in lines if key == "oom_kill")
    return 0


def remove(groups: Iterable[str]) -> None:
    """Of processes that are gone."""
    for group in groups:
        with contextlib.suppress(OSError):
            Path(group).rmdir()
