"""`cloudlet config`: what HAProxy is told."""

from __future__ import annotations

import click

from cloudlet.cli.session import Session, examples, pass_session


@click.command(
    "config",
    short_help="Print the HAProxy configuration.",
    epilog=examples("cloudlet config", "cloudlet config | less"),
)
@pass_session
def command(session: Session) -> None:
    """Print the HAProxy configuration in force, and as comments its maps: routes, waits, backups."""
    click.echo(session.client().config(), nl=False)
