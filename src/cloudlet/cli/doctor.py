"""`cloudlet doctor`: whether this machine has what cloudlet needs."""

from __future__ import annotations

import click

from cloudlet.cli.console import out
from cloudlet.cli.exits import DEPENDENCY
from cloudlet.cli.printing import Column, print_data, print_table
from cloudlet.cli.session import Session, examples, output_option, pass_session

_COLUMNS = (Column("WHAT"), Column("STATE"), Column("DETAIL", flexible=True))


@click.command(
    "doctor",
    short_help="Say what this machine has and lacks.",
    epilog=examples("cloudlet doctor", "cloudlet doctor --output json"),
)
@output_option
@click.pass_context
@pass_session
def command(session: Session, context: click.Context) -> None:
    """Say which binary each engine would use, its version, and what is missing on this machine."""
    from cloudlet.control.doctor import examine

    findings = examine()
    if session.output == "table":
        rows = [[f.name, "ok" if f.ok else "missing", f.detail] for f in findings]
        print_table(_COLUMNS, rows)
        for finding in findings:
            if not finding.ok and finding.fix:
                out().print(f"{finding.name}: {finding.fix}", style="yellow", soft_wrap=True)
    else:
        print_data(findings, session.output)
    if not all(finding.ok for finding in findings):
        context.exit(DEPENDENCY)
