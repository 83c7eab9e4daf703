"""`cloudlet version`: what runs here."""

from __future__ import annotations

import platform

import click

from cloudlet import __version__
from cloudlet.cli.printing import Column, print_data, print_table
from cloudlet.cli.session import Session, examples, output_option, pass_session


@click.command("version", epilog=examples("cloudlet version", "cloudlet version --all --output json"))
@click.option("--all", "engines", is_flag=True, help="The engines' versions too.")
@output_option
@pass_session
def command(session: Session, engines: bool) -> None:
    """Print the versions of cloudlet and Python."""
    versions = {"cloudlet": __version__, "python": platform.python_version()}
    if engines:
        from cloudlet.engines.locate import survey

        versions |= {binary.engine: binary.version or "missing" for binary in survey()}
    if session.output == "table":
        print_table((Column("PROGRAM"), Column("VERSION")), [list(pair) for pair in versions.items()])
    else:
        print_data(versions, session.output)
