"""The plan that `up` prints before it acts."""

from __future__ import annotations

import click

from cloudlet.cli.console import err
from cloudlet.cli.printing import Column, print_data, print_table
from cloudlet.control.views import PlanView

_SIGNS = {"add": "+", "remove": "-", "change": "~", "scale": "~"}
_COLUMNS = (
    Column(""),
    Column("ACTION", 4),
    Column("WHAT", 3),
    Column("NAME"),
    Column("DETAIL", 1, flexible=True),
    Column("HOW", 2, flexible=True),
)


def show_plan(plan: PlanView, output: str) -> None:
    """On standard output; its warnings on standard error."""
    if output != "table":
        print_data(plan, output)
        return
    rows = [[_SIGNS.get(c.action, "?"), c.action, c.kind, c.name, c.detail, c.how] for c in plan.changes]
    print_table(_COLUMNS, rows)
    if not plan.changes:
        click.echo("nothing changes: the stack is as the file says")
    for warning in plan.warnings:
        err().print(f"warning: {warning}", style="yellow", soft_wrap=True)
    for undone in plan.undoes:
        err().print(f"takes back: {undone}", style="yellow", soft_wrap=True)
