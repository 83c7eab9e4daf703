"""`cloudlet secret`: the values that the file names as ${secret:NAME}."""

from __future__ import annotations

import sys

import click

from cloudlet.cli.printing import print_data
from cloudlet.cli.session import Session, examples, output_option, pass_session


@click.group(
    "secret",
    short_help="Set and list secrets.",
    epilog=examples("cloudlet secret set session-key --generate", "cloudlet secret set stripe < key.txt"),
)
def command() -> None:
    """The values that the file names as ${secret:NAME}: one private file each below .cloudlet/secrets/. What is shown
    is their names, never their values."""


@command.command("set", short_help="Set a secret.")
@click.argument("name")
@click.option("--generate", is_flag=True, help="A random value, where there is none yet.")
@pass_session
def set_(session: Session, name: str, generate: bool) -> None:
    """Set NAME to what is typed, or comes from standard input. It counts from the next `cloudlet up` on, and for
    instances that start from then on."""
    from cloudlet.identity.secrets import Secrets

    secrets = Secrets(session.paths.secrets)
    session.paths.create()
    if generate:
        secrets.get_or_create(name)
    else:
        secrets.replace(name, _value())


@command.command("ls", short_help="List the names of secrets.")
@output_option
@pass_session
def ls(session: Session) -> None:
    """The secrets that are there; those that cloudlet made for itself are left out."""
    from cloudlet.identity.secrets import Secrets

    names = Secrets(session.paths.secrets).names()
    if session.output == "table":
        click.echo("".join(f"{name}\n" for name in names), nl=False)
    else:
        print_data(names, session.output)


@command.command("rm", short_help="Delete a secret.")
@click.argument("name")
@pass_session
def rm(session: Session, name: str) -> None:
    """Delete NAME; a file that still names it can't be applied any more."""
    from cloudlet.identity.secrets import Secrets

    Secrets(session.paths.secrets).delete(name)


def _value() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("value", hide_input=True))
    return sys.stdin.read().removesuffix("\n")
