"""`cloudlet limit`: who is near a rate limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudlet.cli.amounts import age, share
from cloudlet.cli.printing import Column, print_data, print_table
from cloudlet.cli.session import Session, examples, output_option, pass_session

if TYPE_CHECKING:
    from cloudlet.contracts.limits import LimitUsage

_COLUMNS = (
    Column("LIMIT"),
    Column("WHO", flexible=True),
    Column("ROUTE", 1),
    Column("USED"),
    Column("SHARE"),
    Column("FREE AGAIN", 2),
    Column("ALGORITHM", 3),
)


def _share(text: str) -> float:
    """A share as in the file, for click's `type`."""
    from cloudlet.stack.units import UnitError, parse_share

    try:
        return parse_share(text)
    except UnitError as error:
        raise click.BadParameter(f"{error}; {error.fix}") from error


@click.group(
    "limit",
    short_help="Show who is near a rate limit.",
    epilog=examples("cloudlet limit ls", "cloudlet limit ls --above 0%", "cloudlet limit ls --output json"),
)
def command() -> None:
    """Rate limits, as `rate_limits` of the gateway and its routes say."""


@command.command("ls", short_help="List who has used most of a limit.")
@click.option("--above", type=_share, default="50%", show_default=True, help="Only who has used this share or more.")
@output_option
@pass_session
def ls(session: Session, above: float) -> None:
    """Who has used most of a limit, the first 1000. Hashes stand for headers' values, which may be credentials."""
    usages = session.client().limits(above)
    if session.output == "table":
        print_table(_COLUMNS, [_row(usage) for usage in usages])
    else:
        print_data({"limits": usages}, session.output)


def _row(usage: LimitUsage) -> list[str]:
    used = f"{usage.used} of {usage.quota}"
    return [usage.limit, usage.key, usage.route or "all", used, share(usage.share), age(usage.reset), usage.algorithm]
