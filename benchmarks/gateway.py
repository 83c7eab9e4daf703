"""What each feature of the gateway costs: requests per second and p99 of a route with it beside a plain route, and
Traefik, Caddy and Envoy doing the same where they can, in one run.

    python benchmarks/gateway.py                          seven rounds of every feature, about twelve minutes
    python benchmarks/gateway.py --only jwt-rs256,headers --rounds 3

cloudlet's edge and its gateway service share one core, each peer has that core when it is its turn; wrk and the servers
behind have the other. README.md says how to read it.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict

from common import wrk
from common.cloudlet import CloudletFailed
from common.cores import Cores, machine, pin
from common.ending import end_on_sigterm
from common.folder import temporary
from common.waiting import TookTooLong
from features import ours, peers
from features.catalogue import FEATURES, PLAIN, Feature
from features.keys import Keys
from features.report import report
from features.side import Side
from peers import upstream
from peers.cloudlets import haproxy
from peers.programs import Missing

#: seconds each pair is driven before the first round
_WARM_UP = 1
#: side → feature → one load a round
Samples = dict[str, dict[str, list[wrk.Load]]]


def main() -> int:
    options = _options()
    end_on_sigterm()
    cores = Cores.choose()
    pin(cores.driving)
    where = machine()
    features = [feature for feature in FEATURES if feature.name in options.only or feature.name == PLAIN]
    with temporary("gateway") as folder, ExitStack() as stack:
        upstream.write(folder)
        keys = Keys.made(folder)
        try:
            cloudlet, servers = ours.start(haproxy(), folder, keys, cores, stack.callback)
        except (CloudletFailed, TookTooLong) as error:
            print(f"cloudlet did not start: {error}", file=sys.stderr)
            return 1
        sides = [cloudlet]
        for name in options.peers:
            try:
                side, running = peers.start(name, servers, folder, keys, cores)
                stack.callback(running.stop)
                sides.append(side)
            except (Missing, TookTooLong) as error:
                print(f"skipped {name}: {error}", file=sys.stderr)
        samples = _measure(sides, features, options, cores)
    if options.json:
        print(json.dumps({"machine": where, "samples": _plain(samples)}, indent=2))
    else:
        print(f"{where}\n")
        report(features, samples)
    return 0


def _measure(sides: list[Side], features: list[Feature], options: argparse.Namespace, cores: Cores) -> Samples:
    pairs = [(side, feature) for side in sides for feature in features if side.can(feature)]
    samples: Samples = {side.name: {} for side in sides}
    for side, feature in pairs:
        side.expect_answer(feature)
        side.drive(feature, cores, _WARM_UP, options.connections)
    for number in range(options.rounds):
        first = number % len(pairs)
        for side, feature in pairs[first:] + pairs[:first]:
            load = side.drive(feature, cores, options.seconds, options.connections)
            samples[side.name].setdefault(feature.name, []).append(load)
            _say(f"round {number + 1} of {options.rounds}: {side.name} {feature.name} {load.rate:,.0f}/s")
    return samples


def _plain(samples: Samples) -> dict[str, dict[str, list[dict[str, float]]]]:
    return {
        side: {feature: [asdict(load) for load in loads] for feature, loads in found.items()}
        for side, found in samples.items()
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    names = [feature.name for feature in FEATURES]
    parser = argparse.ArgumentParser(
        description="What each feature of the gateway costs.", epilog=f"Features: {', '.join(names)}."
    )
    parser.add_argument("--rounds", type=int, default=7, help="pairs of each ratio (default 7)")
    parser.add_argument("--seconds", type=int, default=2, help="of each feature in each round (default 2)")
    parser.add_argument("--connections", type=int, default=64, help="kept open by wrk (default 64)")
    parser.add_argument("--only", metavar="A,B", help="these features only, beside the plain route")
    parser.add_argument("--peers", metavar="A,B", default=",".join(peers.NAMES), help="these peers only; '' for none")
    parser.add_argument("--json", action="store_true", help="every sample, as JSON")
    given = parser.parse_args()
    given.only = given.only.split(",") if given.only else names
    given.peers = [name for name in given.peers.split(",") if name]
    unknown = [name for name in given.only if name not in names] + [n for n in given.peers if n not in peers.NAMES]
    if unknown:
        parser.error(f"nothing is called {', '.join(unknown)}")
    if given.rounds < 1 or given.seconds < 1:
        parser.error("at least one round of at least one second")
    return given


if __name__ == "__main__":
    sys.exit(main())
