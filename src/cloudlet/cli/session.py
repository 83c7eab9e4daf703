"""What every command is given: which file, which format, and the way to the running stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cloudlet.cli.client import ControlClient
    from cloudlet.contracts.paths import StatePaths

FORMATS = ("table", "json", "yaml")
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(slots=True)
class Session:
    """`output` is table, json or yaml."""

    file: Path
    output: str

    @property
    def paths(self) -> StatePaths:
        from cloudlet.contracts.paths import StatePaths

        return StatePaths.beside(self.file)

    def client(self) -> ControlClient:
        """Whom to ask; nothing is sent yet."""
        from cloudlet.cli.client import ControlClient

        return ControlClient(self.paths.control_socket, self.file)


pass_session = click.make_pass_decorator(Session)


def output_option(function: _Function) -> _Function:
    """`--output` after the command too, where people put it first."""

    def choose(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.ensure_object(Session).output = value

    option = click.option(
        "--output",
        type=click.Choice(FORMATS),
        expose_value=False,
        callback=choose,
        help="How data is printed; same as before the command.",
    )
    return option(function)


def examples(*lines: str) -> str:
    """An epilog of runnable lines, kept as they are by click."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def complete_service(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The services of the file, for the shell; silence when it cannot be read."""
    import yaml

    file = context.find_root().params.get("file") or Path("cloudlet.yaml")
    try:
        services = yaml.safe_load(Path(file).read_text(encoding="utf-8"))["services"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return []
    return [name for name in map(str, services) if name.startswith(incomplete)]


def duration(text: str) -> float:
    """A duration as in the file, in seconds, for click's `type`."""
    from cloudlet.stack.units import UnitError, parse_duration

    try:
        return parse_duration(text)
    except UnitError as error:
        raise click.BadParameter(f"{error}; {error.fix}") from error


def rate(text: str) -> float:
    """A rate as in the file, or a bare number, per second, for click's `type`."""
    from cloudlet.stack.units import UnitError, parse_rate

    try:
        return parse_rate(f"{text}/s" if text.isdecimal() else text).per_second
    except UnitError as error:
        raise click.BadParameter(f"{error}; {error.fix}") from error
