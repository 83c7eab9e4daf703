"""`cloudlet restart`: fresh instances in place of those that run."""

from __future__ import annotations

import click

from cloudlet.cli.printing import print_data
from cloudlet.cli.session import Session, complete_service, examples, output_option, pass_session


@click.command(
    "restart",
    short_help="Replace instances by fresh ones.",
    epilog=examples("cloudlet restart orders", "cloudlet restart"),
)
@click.argument("services", nargs=-1, metavar="[SERVICE]...", shell_complete=complete_service)
@output_option
@pass_session
def command(session: Session, services: tuple[str, ...]) -> None:
    """Replace the instances of these services, or of all, as a deployment would: no request fails."""
    restarting = session.client().restart(services)
    if session.output == "table":
        click.echo(f"replacing {', '.join(restarting)}" if restarting else "nothing runs to replace")
    else:
        print_data({"restarting": restarting}, session.output)
