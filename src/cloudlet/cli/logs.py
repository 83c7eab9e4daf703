"""`cloudlet logs`: what the processes printed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import click

from cloudlet.cli.client import Query
from cloudlet.cli.console import out
from cloudlet.cli.printing import print_row
from cloudlet.cli.session import Session, complete_service, examples, output_option, pass_session
from cloudlet.errors import NotRunning, OperatorError

#: an instance keeps its colour, by its name
_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_red", "bright_cyan", "bright_magenta")


@click.command(
    "logs",
    short_help="Print what instances wrote.",
    epilog=examples(
        "cloudlet logs",
        "cloudlet logs orders users -f",
        "cloudlet logs orders/2 --tail 20",
        "cloudlet logs --instance postgres-shop-db",
    ),
)
@click.argument("names", nargs=-1, metavar="[SERVICE[/INSTANCE]]...", shell_complete=complete_service)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--tail", type=click.IntRange(0), default=100, show_default=True, metavar="N", help="So many lines back.")
@click.option("--instance", "instances", multiple=True, metavar="NAME", help="An instance or engine.")
@output_option
@pass_session
def command(session: Session, names: tuple[str, ...], follow: bool, tail: int, instances: tuple[str, ...]) -> None:
    """Print what instances wrote to standard output and standard error, in the order in which they did."""
    query: Query = {"tail": tail, **_selection(names, instances)}
    client = session.client()
    try:
        lines: Iterable[dict[str, Any]] = client.follow_logs(query) if follow else client.logs(query)
        _print(lines, session.output)
    except NotRunning as error:
        raise NotRunning(f"{error}; what was logged before is in {session.paths.logs}") from error


def _selection(names: Sequence[str], instances: Sequence[str]) -> dict[str, list[str]]:
    services, chosen = [], list(instances)
    for name in names:
        service, slash, instance = name.partition("/")
        if not slash:
            services.append(service)
        elif not instance:
            raise OperatorError(f"'{name}' names no instance; write {service}/1")
        else:
            chosen.append(f"{service}-{instance}" if instance.isdecimal() else instance)
    return {"service": services, "instance": chosen}


def _print(lines: Iterable[dict[str, Any]], output: str) -> None:
    width = 0
    for line in lines:
        if output != "table":
            print_row(line, output)
            continue
        width = max(width, len(line["instance"]))
        prefix = f"{line['instance']:{width}} | "
        if not out().is_terminal:
            click.echo(prefix + line["line"])
            continue
        from rich.text import Text

        out().print(Text(prefix, style=colour_of(line["instance"])), end="")
        click.echo(line["line"])  # as it is: a program's own colours are its business


def colour_of(instance: str) -> str:
    return _COLOURS[zlib.crc32(instance.encode()) % len(_COLOURS)]
