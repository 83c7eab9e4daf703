"""`cloudlet audit`: who was refused, and who changed keys or rules."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from cloudlet.cli.client import Query
from cloudlet.cli.console import out
from cloudlet.cli.printing import print_row, visible
from cloudlet.cli.session import Session, duration, examples, output_option, pass_session
from cloudlet.errors import NotRunning


@click.command(
    "audit",
    short_help="Print refusals and changes of rules.",
    epilog=examples("cloudlet audit", "cloudlet audit -f", "cloudlet audit --since 1h --output json"),
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--since", type=duration, metavar="DURATION", help="Only what happened within this time: 30m, 1d.")
@click.option("--tail", type=click.IntRange(0), default=1000, show_default=True, metavar="N", help="So many back.")
@output_option
@pass_session
def command(session: Session, follow: bool, since: float | None, tail: int) -> None:
    """Print every request that the edge refused and every change of keys and rules. Nothing of it is sampled."""
    query: Query = {"tail": tail, "since": str(time.time() - since if since is not None else 0)}
    client = session.client()
    try:
        rows: Iterable[dict[str, Any]] = client.follow_audit(query) if follow else client.audit(query)
        for row in rows:
            print_row(row, session.output) if session.output != "table" else _print(row)
    except NotRunning as error:
        raise NotRunning(f"{error}; what was written before is in {session.paths.log('audit')}") from error


def _print(row: dict[str, Any]) -> None:
    """`12:03:55 refused 403 injection:template GET shop.localhost/a from 10.0.0.7, user jane, route /a`"""
    at = datetime.fromtimestamp(row["at"]).strftime("%Y-%m-%d %H:%M:%S")
    out().print(f"{at} {visible(_said(row))}", soft_wrap=True, markup=False, highlight=False)


def _said(row: dict[str, Any]) -> str:
    if row["kind"] == "changed":
        because = f" because {row['because']}" if row["because"] else ""
        return f"changed {row['subject']}: {row['event']}{because}"
    if row["kind"] == "gap":
        return f"refusals are missing here, because {row['because']}"
    who = "".join(f", {name} {row[name]}" for name in ("user", "route") if row.get(name, "-") != "-")
    asked = f"{row.get('method')} {row.get('host')}{row.get('path')}"
    return f"refused {row.get('status')} {row['reason']} {asked} from {row.get('client')}{who}"
