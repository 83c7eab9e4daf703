"""Writes docs/reference/commands.md from the commands themselves: `python -m cloudlet.cli.reference FILE`.

With --check it only says whether the page is up to date (exit 1 when not). The text is made from click's
declarations rather than from its help screens, whose layout differs between versions of click.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cloudlet.cli.app import COMMANDS, cloudlet
from cloudlet.cli.exits import EXITS, FAILED

_HEAD = """\
# Commands

Generated from the commands by `make docs`; `cloudlet COMMAND --help` says the same.

Durations, sizes and rates are written as in the file: `500ms`, `30s`, `5m`, `100/m`. Data goes to standard
output, errors and progress to standard error. Colour is used on a terminal only, never with `NO_COLOR` set.
"""


def page() -> str:
    """The whole page."""
    context = click.Context(cloudlet, info_name="cloudlet")
    parts = [
        _HEAD,
        *_command(cloudlet, context, "##", "cloudlet [OPTIONS] COMMAND [ARGS]...", with_epilog=False),
    ]
    for name in COMMANDS:
        command = cloudlet.get_command(context, name)
        assert command is not None, "every name of COMMANDS is a command"
        inner = click.Context(command, info_name=name, parent=context)
        usage = " ".join(["cloudlet", name, *command.collect_usage_pieces(inner)])
        parts += _command(command, inner, "##", usage, with_epilog=True)
    return "\n".join([*parts, *_exits()]) + "\n"


def _command(
    command: click.Command, context: click.Context, level: str, usage: str, *, with_epilog: bool
) -> Iterator[str]:
    yield f"{level} {context.command_path}\n"
    yield f"```\n{usage}\n```\n"
    yield _escape(inspect.cleandoc(command.help or "")) + "\n"
    rows = list(_options(command, context))
    if rows:
        yield "| option | |\n|---|---|"
        yield "\n".join(rows) + "\n"
    if with_epilog:
        lines = (command.epilog or "").removeprefix("\b\nExamples:\n")
        yield f"```sh\n{inspect.cleandoc(lines)}\n```\n"


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        if not isinstance(parameter, click.Option) or "--help" in parameter.opts:
            continue
        names = ", ".join(f"`{name}`" for name in parameter.opts)
        value = "" if parameter.is_flag else f" `{_value(parameter, context)}`"
        default = f" Default: `{parameter.default}`." if parameter.show_default else ""
        variable = f" Or the variable `{parameter.envvar}`." if parameter.envvar else ""
        yield f"| {names}{_cell(value)} | {_cell(_escape(parameter.help or ''))}{default}{variable} |"


def _value(option: click.Option, context: click.Context) -> str:
    if option.metavar:
        return option.metavar
    kind = option.type
    return "|".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else kind.name.upper()


def _exits() -> Iterator[str]:
    yield "## Exit statuses\n"
    yield "| status | name | says |\n|---|---|---|"
    yield "\n".join(f"| {code} | {name} | {says} |" for code, (name, says) in EXITS.items())


def _escape(text: str) -> str:
    return text.replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """The exit status."""
    check = "--check" in arguments
    (target,) = (Path(argument) for argument in arguments if argument != "--check")
    wanted = page()
    if not check:
        target.write_text(wanted, encoding="utf-8")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{target} is not what the commands say; run `make docs`", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
