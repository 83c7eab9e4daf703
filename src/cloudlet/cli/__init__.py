"""The command line: one file per command, thin over the control API."""


def main() -> None:
    """Run the command line."""
