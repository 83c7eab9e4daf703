"""`python -m cloudlet.control --file FILE`: the daemon, detached by `cloudlet up -d`; its journal goes to its log.

It is started before it is known whether it may begin, because its imports take as long as the plan that the user sees
first: it waits for a line on standard input, `start` or `start undo`, and ends without a word when there is none.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from cloudlet.control.daemon import run_foreground
from cloudlet.control.views import Event
from cloudlet.errors import CloudletError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m cloudlet.control", description=__doc__)
    parser.add_argument("--file", type=Path, required=True)
    given = parser.parse_args()
    word = sys.stdin.readline().split()
    if word[:1] != ["start"]:
        return 0
    try:
        return run_foreground(given.file, on_event=_print, undo=word[1:] == ["undo"])
    except CloudletError as error:
        print(f"cloudlet: {error}", file=sys.stderr, flush=True)
        return error.exit_code


def _print(event: Event) -> None:
    at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds")
    because = f" because {event.because}" if event.because else ""
    print(f"{at} {event.level:7} {event.subject}: {event.event}{because}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
