"""`cloudlet init`: a file to begin with."""

from __future__ import annotations

import re

import click

from cloudlet.cli.problems import relative
from cloudlet.cli.session import Session, examples, pass_session
from cloudlet.errors import OperatorError, Refused

_PAGE = "<!doctype html>\n<title>cloudlet</title>\n<p>It runs. This page is public/index.html.\n"


@click.command(
    "init",
    short_help="Write a starter file.",
    epilog=examples("cloudlet init", "cloudlet init --name shop", "cloudlet -f shop/cloudlet.yaml init"),
)
@click.option("--name", help="The stack's name; the folder's by default.")
@pass_session
def command(session: Session, name: str | None) -> None:
    """Write a commented starter file, which runs as it is, and the page that it serves."""
    from cloudlet.stack import starter

    text = starter(name or _name_of_folder(session))
    try:
        session.file.parent.mkdir(parents=True, exist_ok=True)
        with session.file.open("x", encoding="utf-8") as file:
            file.write(text)
        page = session.file.parent / "public" / "index.html"
        page.parent.mkdir(exist_ok=True)
        if not page.exists():
            page.write_text(_PAGE, encoding="utf-8")
    except FileExistsError as error:
        raise Refused(f"{session.file} exists already and is left as it is; name another with -f") from error
    except OSError as error:
        raise OperatorError(f"cannot write {session.file}: {error.strerror}") from error
    call = "cloudlet" if str(session.file) == "cloudlet.yaml" else f"cloudlet -f {relative(session.file)}"
    click.echo(f"wrote {session.file} and the page it serves in public/; next:")
    click.echo(f"  {call} check           what is wrong with it, or worth a word")
    click.echo(f"  {call} up              run it here, until Ctrl-C")
    click.echo(f"  {call} up -d --wait    or in the background, back when it is healthy")


def _name_of_folder(session: Session) -> str:
    """The folder's name with what no stack's name may hold taken out."""
    folder = session.file.absolute().parent.name.lower()
    return re.sub(r"[^a-z0-9]+", "-", folder).strip("-")[:40].lstrip("0123456789-") or "my-cloud"
