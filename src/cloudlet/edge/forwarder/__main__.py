"""Runs a forwarder until SIGTERM or SIGINT; SIGHUP reads the targets again.

A file of targets that cannot be read at the start ends it with status 2; later the old targets stay and it
says so.
"""

from __future__ import annotations

from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, signal

if __name__ == "__main__":
    signal(SIGHUP, SIG_IGN)  # before the slow imports: until its handler is set, SIGHUP would kill

import argparse
import asyncio
import resource
import sys
from pathlib import Path

import uvloop

from cloudlet.edge.forwarder.forwarder import Forwarder
from cloudlet.edge.forwarder.listening import Listening
from cloudlet.edge.forwarder.statistics import StatisticsFile
from cloudlet.edge.forwarder.targets import read_targets
from cloudlet.errors import OperatorError

#: descriptors kept for everything that is no flow
_OTHERS = 64
#: seconds between two writes of the statistics
_WRITE = 0.5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cloudlet.edge.forwarder", description=__doc__)
    parser.add_argument("--socket-fd", type=int, required=True, help="descriptor of the bound UDP socket")
    parser.add_argument("--targets", type=Path, required=True, help="JSON file, read again on SIGHUP")
    parser.add_argument("--statistics", type=Path, help="file to write the counters to, twice a second")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds after which an unused flow ends")
    parser.add_argument("--flows", type=int, default=20_000, help="flows at most, as descriptors allow")
    return parser.parse_args()


def _flows_allowed(wanted: int) -> int:
    """As many as wanted, within what descriptors may be had; the soft limit is raised to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - _OTHERS))


async def _run(arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    file = StatisticsFile(arguments.statistics) if arguments.statistics else None
    forwarder = Forwarder(
        Listening(arguments.socket_fd),
        read_targets(arguments.targets),
        idle=arguments.idle,
        flows=_flows_allowed(arguments.flows),
    )
    for number in (SIGTERM, SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(SIGHUP, _reload, forwarder, arguments.targets)
    forwarder.start()
    # the targets may have changed before SIGHUP could be heard
    _reload(forwarder, arguments.targets)
    while not ended.is_set():
        if file is not None:
            file.write(forwarder.statistics)
        await _within(ended, _WRITE)
    forwarder.stop()


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _reload(forwarder: Forwarder, file: Path) -> None:
    try:
        forwarder.aim(read_targets(file))
    except OperatorError as error:
        print(f"the old targets stay: {error}", file=sys.stderr, flush=True)


def main() -> int:
    arguments = _arguments()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(arguments))
    except (OperatorError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
