"""`cloudlet check`: what is wrong with the file, without running anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from cloudlet.cli.exits import INVALID
from cloudlet.cli.printing import print_data
from cloudlet.cli.problems import show, summary
from cloudlet.cli.session import Session, examples, output_option, pass_session
from cloudlet.errors import Problem, StackError


@click.command(
    "check",
    short_help="Say everything that is wrong with the file.",
    epilog=examples("cloudlet check", "cloudlet -f shop/cloudlet.yaml check", "cloudlet check --output json"),
)
@output_option
@click.pass_context
@pass_session
def command(session: Session, context: click.Context) -> None:
    """Say everything that is wrong with the file, with place, reason and fix.

    Needs no running stack. Warnings are worth a word, but leave the exit status 0.
    """
    errors, warnings = _examine(session)
    if session.output == "table":
        show(errors, sys.stdout)
        show(warnings, sys.stdout, "warning")
        found = summary(len(errors), len(warnings))
        click.echo(f"{session.file}: {found}" if found else f"{session.file}: everything is in order")
    else:
        print_data({"file": str(session.file), "errors": errors, "warnings": warnings}, session.output)
    if errors:
        context.exit(INVALID)


def _examine(session: Session) -> tuple[Sequence[Problem], Sequence[Problem]]:
    from cloudlet import stack

    try:
        return (), stack.check(stack.load(session.file))
    except StackError as error:
        return error.problems, ()
