"""The group of all commands, and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from cloudlet.cli.console import complain
from cloudlet.cli.exits import BUG, EXITS, INTERRUPTED, OK, PIPE
from cloudlet.cli.session import FORMATS, Session
from cloudlet.errors import CloudletError, StackError

#: in the order in which a person meets them; a command NAME is the function `command` of cli/NAME.py
COMMANDS = (
    "init",
    "check",
    "up",
    "status",
    "logs",
    "audit",
    "scale",
    "restart",
    "down",
    "secret",
    "key",
    "route",
    "limit",
    "load",
    "config",
    "doctor",
    "version",
    "completion",
)


class Commands(click.Group):
    """Imports a command's file when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"cloudlet.cli.{cmd_name}").command
        assert isinstance(command, click.Command), "each file of COMMANDS defines one"
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # before click sees it, which would exit with 1
            raise click.exceptions.Exit(_pipe_closed()) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"there is no command '{args[0]}'{_nearest(args[0])}")
        return super().resolve_command(ctx, args)


def _nearest(word: str) -> str:
    import difflib

    close = difflib.get_close_matches(word, COMMANDS, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def exit_lines(exits: Mapping[int, tuple[str, str]] = EXITS) -> str:
    return "\n".join(f"  {code:3}  {name}" for code, (name, _) in exits.items())


_EPILOG = f"""\b
Exit statuses:
{exit_lines()}

\b
Examples:
  cloudlet init && cloudlet up
  cloudlet up -d --wait && cloudlet status
  cloudlet -f shop/cloudlet.yaml logs -f orders

docs/reference/commands.md explains each."""


@click.group(cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    default=Path("cloudlet.yaml"),
    envvar="CLOUDLET_FILE",
    show_default=True,
    help="The file that describes the system.",
)
@click.option("--output", type=click.Choice(FORMATS), default="table", help="How data is printed.")
@click.version_option(package_name="cloudlet", message="cloudlet %(version)s")
@click.pass_context
def cloudlet(context: click.Context, file: Path, output: str) -> None:
    """A whole cloud in a pip install: one file describes a system, cloudlet runs it on this machine.

    State is kept in .cloudlet/ beside the file, so several systems live on one machine.
    """
    context.obj = Session(file, output)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    try:
        status = cloudlet.main(args=arguments, prog_name="cloudlet", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else OK
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except StackError as error:
        from cloudlet.cli.problems import show

        show(error.problems, sys.stderr)
        return error.exit_code
    except CloudletError as error:
        complain(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()
    except Exception as error:
        return _bug(error)


def _pipe_closed() -> int:
    # what is still in the buffer would fail again when the interpreter flushes it at its end
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE


def _bug(error: Exception) -> int:
    if os.environ.get("CLOUDLET_DEBUG"):
        import traceback

        traceback.print_exc()
    else:
        hint = "run again with CLOUDLET_DEBUG=1 and report what it prints"
        complain(f"this is a bug of cloudlet's own ({type(error).__name__}: {error}); {hint}")
    return BUG
