"""From fork to exec: what the child does to become the process that was asked for.

The order matters: what needs root (cgroups, limits, the FIFO) comes before the user changes, what the user
must be able to do (enter the folder, execute the program) after.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cloudlet.runtime.keeper import kernel
from cloudlet.runtime.keeper.record import User

#: files that instances and engines make are for their own user and group
_UMASK = 0o027
#: what the keeper ignores, the last two by Python
IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything the child needs. `sockets` maps the number to inherit under to the keeper's own
    descriptor."""

    argv: list[str]
    directory: str
    environment: dict[str, str]
    fifo: Path
    user: User | None
    sockets: dict[int, int]
    files: int | None
    default_files: tuple[int, int]
    groups: list[str]


def become(launch: Launch, report: int) -> NoReturn:
    """Never returns: executes, or tells through `report` why not and exits."""
    warnings: list[str] = []
    problem = ""
    try:
        report = _prepare(launch, report, warnings)
        problem = _enter(launch)
        if not problem:
            if warnings:
                os.write(report, json.dumps({"warnings": warnings}).encode() + b"\n")
            problem = _execute(launch)
    except (OSError, ValueError) as error:
        problem = str(error)
    finally:
        with contextlib.suppress(OSError):
            os.write(report, json.dumps({"problem": problem or "an error of cloudlet's own"}).encode() + b"\n")
        os._exit(127)


def _prepare(launch: Launch, report: int, warnings: list[str]) -> int:
    if launch.user is not None and os.geteuid() not in (0, launch.user.uid):
        raise PermissionError(f"only root can run it as user {launch.user.uid}")
    os.setsid()
    _default_signals()
    _join(launch.groups, warnings)
    _redirect(launch)
    report = _inherit(launch.sockets, report)
    _limit_files(launch, warnings)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("0")
    _change_user(launch, warnings)
    kernel.forbid_new_privileges()
    os.umask(_UMASK)
    return report


def _default_signals() -> None:
    """A handler ends with exec, an ignored signal stays ignored."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _join(groups: list[str], warnings: list[str]) -> None:
    for group in groups:
        try:
            Path(group, "cgroup.procs").write_text("0")
        except OSError as error:
            warnings.append(f"its limits do not hold: cannot join {group}: {error.strerror}")


def _redirect(launch: Launch) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    fifo = os.open(launch.fifo, os.O_RDWR | os.O_NOFOLLOW)
    if launch.user is not None and os.geteuid() == 0:
        os.fchown(fifo, launch.user.uid, launch.user.gid)  # so that it may open /dev/stdout
    os.dup2(fifo, 1)
    os.dup2(fifo, 2)


def _inherit(sockets: dict[int, int], report: int) -> int:
    """Exactly these sockets stay open beside the standard streams; the new number of `report`,
    close-on-exec."""
    above = max(sockets, default=99) + 1
    moved = {number: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, above) for number, source in sockets.items()}
    report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, above)
    for number, source in moved.items():
        os.dup2(source, number, inheritable=True)
    kept = {0, 1, 2, report, *sockets}
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)
    if sockets and os.geteuid() != 0:
        kernel.allow_successor()
    return report


def _limit_files(launch: Launch, warnings: list[str]) -> None:
    if launch.files is None:
        resource.setrlimit(resource.RLIMIT_NOFILE, launch.default_files)
        return
    hard = launch.default_files[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (launch.files, launch.files))
    except (OSError, ValueError):
        files = min(launch.files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
        warnings.append(f"it may open {files} files, not {launch.files}: the hard limit; raise `ulimit -Hn`")


def _change_user(launch: Launch, warnings: list[str]) -> None:
    user = launch.user
    if user is None or os.geteuid() != 0:
        return
    if not kernel.drop_to(user.uid, user.gid, reads_all=user.reads_all):
        warnings.append(f"user {user.uid} reads only what modes allow: this machine does not grant CAP_DAC_READ_SEARCH")


def _enter(launch: Launch) -> str:
    try:
        os.chdir(launch.directory)
    except OSError as error:
        return f"its folder {launch.directory} cannot be entered{_as_whom(launch)}: {error.strerror}"
    return ""


def _execute(launch: Launch) -> str:
    program = launch.argv[0]
    try:
        os.execvpe(program, launch.argv, launch.environment)  # noqa: S606 - no shell is what is wanted
    except FileNotFoundError:
        if "/" in program:
            there = Path(program).exists()
            return f"{program} names an interpreter that is not there" if there else f"there is no program {program}"
        path = launch.environment.get("PATH", "which is not set")
        return f"there is no program {program} on its PATH ({path})"
    except OSError as error:
        return f"{program} cannot be executed{_as_whom(launch)}: {error.strerror}"


def _as_whom(launch: Launch) -> str:
    return f" by user {launch.user.uid}" if launch.user else ""
