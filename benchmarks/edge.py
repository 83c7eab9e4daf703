"""Requests per second and p99 of cloudlet's edge beside other proxies that do the same, in one run.

    python benchmarks/edge.py                       seven rounds of every proxy, three seconds each
    python benchmarks/edge.py --only haproxy,nginx  only these (and cloudlet, unless --without-cloudlet)

Each proxy has one core and one thread; the load and the servers behind have the other core. All are started at once
and measured in turn, each round beginning with another; ratios are of pairs within a round. README.md says more.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from common.cloudlet import CloudletFailed
from common.cores import Cores, machine, pin
from common.ending import end_on_sigterm
from common.folder import temporary
from common.processes import Running
from common.waiting import TookTooLong
from peers import cloudlets, programs, roster, upstream
from peers.duties import duties, wait_answering
from peers.proxy import Proxy
from peers.round import Sample, measure
from peers.verdict import Verdict, report, verdicts

#: seconds each proxy is driven before the first round: code paths, connection pools and caches warm up
_WARM_UP = 1


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int
    seconds: int
    connections: int
    only: tuple[str, ...]
    cloudlet: bool
    json: bool


def main() -> int:
    options = _options()
    end_on_sigterm()
    cores = Cores.choose()
    pin(cores.driving)
    where = machine()
    with temporary("edge") as folder, ExitStack() as stack:
        proxies = _start(options, cores, folder, stack)
        if not proxies:
            print("no proxy could be started; the reasons are above", file=sys.stderr)
            return 1
        shown = {proxy.name: duties(proxy) for proxy in proxies}
        samples = _measure(proxies, options, cores)
    found = verdicts(proxies, samples)
    if options.json:
        print(json.dumps(_document(where, options, proxies, shown, samples, found), indent=2))
    else:
        print(f"{where}\n")
        report(proxies, shown, samples, found)
    return 0


def _start(options: Options, cores: Cores, folder: Path, stack: ExitStack) -> list[Proxy]:
    """cloudlet first, because its instances are the servers behind all the others."""
    haproxy = cloudlets.haproxy()
    upstream.write(folder)
    proxies: list[Proxy] = []
    servers: upstream.Upstream | None = None
    if options.cloudlet:
        try:
            proxy, servers = cloudlets.start(haproxy, folder, cores, stack.callback)
            proxies.append(proxy)
        except (CloudletFailed, TookTooLong) as error:
            print(f"skipped cloudlet: {error}", file=sys.stderr)
    if servers is None:
        servers, running = upstream.started(haproxy, folder, cores.driving)
        _stop_later(running, stack)
    for name in options.only:
        try:
            proxy, process = roster.start(roster.PEERS[name], haproxy, servers, folder, cores.measured)
            stack.callback(process.stop)
            wait_answering(proxy)
        except (programs.Missing, TookTooLong) as error:
            print(f"skipped {name}: {error}", file=sys.stderr)
            continue
        proxies.append(proxy)
    return proxies


def _stop_later(running: Sequence[Running], stack: ExitStack) -> None:
    for process in running:
        stack.callback(process.stop)


def _measure(proxies: list[Proxy], options: Options, cores: Cores) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {proxy.name: [] for proxy in proxies}
    for proxy in proxies:
        measure(proxy, cores, _WARM_UP, options.connections)
    for number in range(options.rounds):
        first = number % len(proxies)
        for proxy in proxies[first:] + proxies[:first]:
            sample = measure(proxy, cores, options.seconds, options.connections)
            samples[proxy.name].append(sample)
            _say(f"round {number + 1} of {options.rounds}: {proxy.name} {sample.rate:,.0f}/s")
    return samples


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _document(
    where: str,
    options: Options,
    proxies: list[Proxy],
    shown: dict[str, dict[str, str]],
    samples: dict[str, list[Sample]],
    found: list[Verdict],
) -> dict[str, object]:
    return {
        "machine": where,
        "options": asdict(options),
        "proxies": [
            {
                "name": proxy.name,
                "version": proxy.version,
                "note": proxy.note,
                "duties": shown[proxy.name],
                "samples": [asdict(sample) for sample in samples[proxy.name]],
            }
            for proxy in proxies
        ],
        "verdicts": [{**asdict(verdict), "met": verdict.met} for verdict in found],
    }


def _options() -> Options:
    parser = argparse.ArgumentParser(
        description="Requests per second and p99 of cloudlet's edge beside other proxies.",
        epilog="Peers: " + ", ".join(roster.PEERS) + ". benchmarks/README.md says what each needs.",
    )
    parser.add_argument("--rounds", type=int, default=7, help="pairs of each ratio (default 7)")
    parser.add_argument("--seconds", type=int, default=3, help="of each proxy in each round (default 3)")
    parser.add_argument("--connections", type=int, default=64, help="kept open by wrk (default 64)")
    parser.add_argument("--only", metavar="A,B", help="these peers only")
    parser.add_argument("--without-cloudlet", action="store_true", help="the peers among themselves")
    parser.add_argument("--json", action="store_true", help="everything, every sample included, as JSON")
    given = parser.parse_args()
    only = tuple(given.only.split(",")) if given.only else tuple(roster.PEERS)
    unknown = [name for name in only if name not in roster.PEERS and name != "cloudlet"]
    if unknown:
        parser.error(f"no peer is called {', '.join(unknown)}; there are {', '.join(roster.PEERS)}")
    if given.rounds < 1 or given.seconds < 1:
        parser.error("at least one round of at least one second")
    peers = tuple(name for name in only if name != "cloudlet")
    return Options(given.rounds, given.seconds, given.connections, peers, not given.without_cloudlet, given.json)


if __name__ == "__main__":
    sys.exit(main())
