"""`cloudlet completion`: the Tab key."""

from __future__ import annotations

import click

from cloudlet.cli.session import examples
from cloudlet.errors import InternalError

_EXAMPLES = examples(
    'eval "$(cloudlet completion bash)"   # in ~/.bashrc',
    'eval "$(cloudlet completion zsh)"    # in ~/.zshrc',
    "cloudlet completion fish | source   # in config.fish",
)


@click.command("completion", short_help="Complete commands in your shell.", epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a script that completes commands, options and the file's services in your shell."""
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    if completer is None:
        raise InternalError(f"click completes nothing for {shell}")
    root = context.find_root()
    click.echo(completer(root.command, {}, "cloudlet", "_CLOUDLET_COMPLETE").source())
