"""`cloudlet up`: the file becomes a running system, or the running system what the file says now."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from cloudlet.cli.console import err, interactive
from cloudlet.cli.session import Session, duration, examples, output_option, pass_session
from cloudlet.errors import Refused

if TYPE_CHECKING:
    from cloudlet.cli.client import ControlClient
    from cloudlet.control.views import PlanView
    from cloudlet.stack import Stack

#: seconds
_WAIT = 120.0


@click.command(
    "up",
    short_help="Run what the file describes.",
    epilog=examples(
        "cloudlet up",
        "cloudlet up -d --wait",
        "cloudlet up -d --wait --wait-timeout 5m",
        "cloudlet up --dry-run --output json",
    ),
)
@click.option("-d", "--detach", is_flag=True, help="Run in the background; `cloudlet down` ends it.")
@click.option("--wait", is_flag=True, help="Return when everything is healthy; exit 6 saying what is not.")
@click.option("--wait-timeout", type=duration, metavar="DURATION", help="How long --wait may take.  [default: 120s]")
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before taking back what commands changed.")
@output_option
@pass_session
def command(session: Session, detach: bool, wait: bool, wait_timeout: float | None, dry_run: bool, yes: bool) -> None:
    """Run what the file describes. Where it runs already, apply the difference.

    Without -d it stays in the foreground: Ctrl-C takes everything down, a second one leaves at once and
    leaves everything to the next `cloudlet up`. If cloudlet is killed, nothing is interrupted; `cloudlet
    up` adopts what still runs.
    """
    from cloudlet.stack import load

    if wait_timeout is not None and not wait:
        raise click.UsageError("--wait-timeout says how long --wait may take; give --wait too")
    stack = load(session.file)
    client = session.client()
    running = client.version() is not None
    if wait and not (running or detach or dry_run):
        raise click.UsageError("--wait returns when everything is healthy, so it needs -d")
    timeout = (wait_timeout or _WAIT) if wait else None
    if running:
        _apply(session, client, stack.text, yes=yes, dry_run=dry_run, timeout=timeout)
    else:
        _start(session, stack, yes=yes, dry_run=dry_run, detach=detach, timeout=timeout)


def _apply(
    session: Session, client: ControlClient, text: str, *, yes: bool, dry_run: bool, timeout: float | None
) -> None:
    from cloudlet.cli.plan_view import show_plan
    from cloudlet.cli.waiting import wait_healthy

    plan = client.plan(text)
    if session.output == "table" or dry_run:
        show_plan(plan, session.output)
    if dry_run:
        return
    yes = _may_undo(plan, yes)
    applied = client.apply(text, yes=yes)
    if session.output != "table":
        show_plan(applied, session.output)
    if timeout is not None:
        wait_healthy(client, timeout)
    elif session.output == "table" and plan.changes:
        click.echo("applied to the stack that runs; `cloudlet status` shows how far it is")


def _start(session: Session, stack: Stack, *, yes: bool, dry_run: bool, detach: bool, timeout: float | None) -> None:
    from cloudlet.cli import starting
    from cloudlet.cli.plan_view import show_plan

    with starting.Background(session) if detach and not dry_run else nullcontext() as background:
        plan = starting.plan_alone(session, stack)
        show_plan(plan, session.output)
        if dry_run:
            return
        undo = _may_undo(plan, yes)
        if background is not None:
            background.start(undo=undo, timeout=timeout)
            return
    status = starting.run_here(session, undo=undo)
    click.get_current_context().exit(status)


def _may_undo(plan: PlanView, yes: bool) -> bool:
    """Whether what commands changed may be taken back. Raises Refused when it may not."""
    if not plan.undoes or yes:
        return yes
    if not interactive():
        raise Refused("; ".join(plan.undoes) + "; say --yes to take it back, or change the file")
    err().print("; ".join(plan.undoes), style="yellow", soft_wrap=True)
    if not click.confirm("take it back?", err=True):
        raise Refused("nothing was changed")
    return True
