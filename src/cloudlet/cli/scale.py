"""`cloudlet scale`: other counts of instances, until the file is applied again."""

from __future__ import annotations

import click

from cloudlet.cli.printing import Column, print_data, print_table
from cloudlet.cli.session import Session, complete_service, examples, output_option, pass_session

_COLUMNS = (Column("SERVICE"), Column("WANTED", right=True), Column("READY", right=True), Column("STATE", 1))


def _count(text: str) -> tuple[str, int]:
    service, equals, count = text.partition("=")
    if not service or not equals or not count.isdecimal():
        raise click.BadParameter(f"'{text}' is not SERVICE=COUNT; write orders=4")
    return service, int(count)


@click.command("scale", epilog=examples("cloudlet scale orders=4", "cloudlet scale orders=4 users=2"))
@click.argument(
    "counts",
    nargs=-1,
    required=True,
    type=_count,
    metavar="SERVICE=COUNT...",
    shell_complete=complete_service,
)
@output_option
@pass_session
def command(session: Session, counts: tuple[tuple[str, int], ...]) -> None:
    """Run so many instances of each service.

    The file stays the truth: the next `cloudlet up` says that it would take this back, and asks.
    """
    services = session.client().scale(dict(counts))
    if session.output == "table":
        print_table(_COLUMNS, [[s.name, str(s.wanted), str(s.ready), s.state] for s in services])
    else:
        print_data({"services": services}, session.output)
