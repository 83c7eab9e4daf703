"""`cloudlet key`: API keys for machines and partners."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cloudlet.cli.printing import Column, print_data, print_table
from cloudlet.cli.session import Session, duration, examples, output_option, pass_session

if TYPE_CHECKING:
    from cloudlet.control.views import IssuedKey, KeyStatus

_COLUMNS = (
    Column("ID"),
    Column("FOR"),
    Column("STATE"),
    Column("ROLES", 2),
    Column("SCOPES", 3),
    Column("CREATED", 4),
    Column("EXPIRES", 1),
    Column("BY", 5),
)


@click.group(
    "key",
    short_help="Issue, list, rotate and revoke API keys.",
    epilog=examples(
        "cloudlet key issue billing --role reader --expires 90d",
        "cloudlet key rotate 3f9c1a20b7 --overlap 1h",
        "cloudlet key revoke 3f9c1a20b7",
    ),
)
def command() -> None:
    """API keys, for routes with `require: {api_key: true}`. Each change counts when the command returns, and stands in
    the journal. A key is shown once; what is kept is its hash."""


@command.command("issue", short_help="Issue a key.")
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="A role that it has; may be given several times.")
@click.option("--scope", "scopes", multiple=True, help="A scope that it has; may be given several times.")
@click.option("--expires", type=duration, help="After how long it ends, e.g. 90d.")
@output_option
@pass_session
def issue(session: Session, name: str, roles: tuple[str, ...], scopes: tuple[str, ...], expires: float | None) -> None:
    """A key for NAME, which services see as the user. It is printed on standard output, once."""
    _show(session, session.client().issue_key(name, roles, scopes, expires))


@command.command("ls", short_help="List keys.")
@output_option
@pass_session
def ls(session: Session) -> None:
    """Keys that count, and for a week those that expired. A rotated one is there twice while both secrets count."""
    keys = session.client().keys()
    if session.output == "table":
        print_table(_COLUMNS, [_row(key) for key in keys])
    else:
        print_data({"keys": keys}, session.output)


@command.command("rotate", short_help="Give a key a new secret.")
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap", type=duration, default="0s", show_default=True, help="How long the old one goes on counting."
)
@output_option
@pass_session
def rotate(session: Session, key_id: str, overlap: float) -> None:
    """A new secret for the key ID, printed once; name, roles, scopes and expiry stay."""
    _show(session, session.client().rotate_key(key_id, overlap))


@command.command("revoke", short_help="Take a key back.")
@click.argument("key_id", metavar="ID")
@pass_session
def revoke(session: Session, key_id: str) -> None:
    """The key ID is refused from now on, with all of its secrets."""
    session.client().revoke_key(key_id)
    click.echo(f"revoked {key_id}", err=True)


def _show(session: Session, issued: IssuedKey) -> None:
    if session.output == "table":
        click.echo(f"key {issued.key.id}, for {issued.key.user}; it is not shown again:", err=True)
        click.echo(issued.text)
    else:
        print_data(issued, session.output)


def _row(key: KeyStatus) -> list[str]:
    roles, scopes = ", ".join(key.roles), ", ".join(key.scopes)
    ends = _time(key.expires) if key.expires is not None else "never"
    return [key.id, key.user, key.state, roles or "-", scopes or "-", _time(key.created), ends, str(key.by)]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
