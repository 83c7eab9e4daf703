"""`cloudlet down`: everything ended, in order."""

from __future__ import annotations

import os
import time

import click

from cloudlet.cli.client import ControlClient
from cloudlet.cli.events import print_event
from cloudlet.cli.printing import print_data
from cloudlet.cli.session import Session, examples, output_option, pass_session
from cloudlet.errors import Unhealthy

#: seconds a daemon may take to end after its last event
_ENDS_WITHIN = 30.0


@click.command(
    "down",
    short_help="Stop everything, in order.",
    epilog=examples("cloudlet down", "cloudlet -f shop/cloudlet.yaml down"),
)
@output_option
@pass_session
def command(session: Session) -> None:
    """Stop everything: requests drain, instances end, then the engines. Data stays in .cloudlet/.

    Also ends what still runs of a stack whose cloudlet was killed.
    """
    client = session.client()
    daemon = client.version()
    if daemon is not None:
        _ask(client, int(daemon["pid"]), quiet=session.output != "table")
        message = f"{daemon['stack']} is down"
    else:
        from cloudlet.control.daemon import take_down

        ended = take_down(session.file)
        message = f"ended {ended} processes that no cloudlet looked after" if ended else "nothing runs"
    if session.output == "table":
        click.echo(message)
    else:
        print_data({"down": True, "detail": message}, session.output)


def _ask(client: ControlClient, daemon: int, *, quiet: bool) -> None:
    last = client.last_event()
    client.down()
    for event in client.follow_events(last):
        if not quiet:
            print_event(event)
    deadline = time.monotonic() + _ENDS_WITHIN
    while _lives(daemon):
        if time.monotonic() > deadline:
            reason = f"the daemon, process {daemon}, was asked to go down and still runs"
            raise Unhealthy(f"{reason}; see .cloudlet/logs")
        time.sleep(0.02)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
