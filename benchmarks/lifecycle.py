"""How long cloudlet takes over what happens in a stack's life, and what it costs while nothing happens.

    python benchmarks/lifecycle.py                    everything, some five minutes
    python benchmarks/lifecycle.py --only idling      one of: starting announcing crashing edge-death idling

Each measure runs a real stack in a folder of its own, on free ports of loopback, and ends it. README.md says more.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict

from common.cores import machine
from common.ending import end_on_sigterm
from measures import announcing, crashing, edge_death, idling, starting, tiny
from measures.measure import Measure, report

_MEASURES = ("starting", "announcing", "crashing", "edge-death", "idling")
_IN_SHARED_STACK: dict[str, Callable[[tiny.Stack, int, Callable[[str], None]], list[Measure]]] = {
    "announcing": announcing.measure,
    "crashing": crashing.measure,
    "edge-death": edge_death.measure,
}


def main() -> int:
    given = _options()
    end_on_sigterm()
    where, found = machine(), list[Measure]()
    if "starting" in given.only:
        found += starting.measure(given.ups, _say)
    shared = [name for name in given.only if name in _IN_SHARED_STACK]
    if shared:
        with tiny.stack(1) as stack:
            for name in shared:
                found += _IN_SHARED_STACK[name](stack, given.rounds, _say)
    if "idling" in given.only:
        found += idling.measure(given.instances, given.windows, given.seconds, _say)
    if given.json:
        measures = [{**asdict(item), **asdict(item.summary), "met": item.met} for item in found]
        print(json.dumps({"machine": where, "measures": measures}, indent=2))
    else:
        print(f"{where}\n")
        report(found)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times of a stack's life, and its cost while idle.")
    parser.add_argument("--only", type=_names, default=_MEASURES, metavar="A,B", help=", ".join(_MEASURES))
    parser.add_argument("--ups", type=_positive, default=5, help="cold and warm starts of the shop (default 5)")
    parser.add_argument("--rounds", type=_positive, default=9, help="of each event (default 9)")
    parser.add_argument("--instances", type=_positive, default=50, help="while idle (default 50)")
    parser.add_argument("--windows", type=_positive, default=3, help="of idleness (default 3)")
    parser.add_argument("--seconds", type=_positive, default=20, help="of each window (default 20)")
    parser.add_argument("--json", action="store_true", help="every sample, as JSON")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in _MEASURES:
            raise argparse.ArgumentTypeError(f"there is no measure {name}; there are {', '.join(_MEASURES)}")
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a count of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
