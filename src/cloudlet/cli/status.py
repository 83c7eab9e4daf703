"""`cloudlet status`: what runs, how it is, and why."""

from __future__ import annotations

import time

import click

from cloudlet.cli.console import out
from cloudlet.cli.printing import print_data, print_row, show
from cloudlet.cli.session import Session, examples, output_option, pass_session
from cloudlet.cli.status_view import render

#: seconds between two looks
_INTERVAL = 1.0


@click.command("status", epilog=examples("cloudlet status", "cloudlet status --watch", "cloudlet status --output json"))
@click.option("--all", "hidden", is_flag=True, help="cloudlet's own services too.")
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C or the stack ends.")
@output_option
@pass_session
def command(session: Session, hidden: bool, watch: bool) -> None:
    """Show services, instances, engines and addresses."""
    if watch:
        _watch(session, hidden)
        return
    status = session.client().status()
    if session.output == "table":
        for part in render(status, out().width, hidden=hidden):
            show(part)
    else:
        print_data(status, session.output)


def _watch(session: Session, hidden: bool) -> None:
    from rich.console import Group
    from rich.live import Live

    client = session.client()
    if session.output != "table":
        while True:
            print_row(client.status(), session.output)
            time.sleep(_INTERVAL)
    with Live(console=out(), auto_refresh=False, screen=out().is_terminal) as live:
        while True:
            live.update(Group(*render(client.status(), out().width, hidden=hidden)), refresh=True)
            time.sleep(_INTERVAL)
