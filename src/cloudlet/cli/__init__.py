"""The command line: one file per command, thin over the control API.

Nothing heavy is imported before a command needs it: `cloudlet --help` answers in under 150 ms.
"""


def main() -> None:
    """Run the command line and exit with its status (cli/exits.py)."""
    from cloudlet.cli.app import run

    raise SystemExit(run())
