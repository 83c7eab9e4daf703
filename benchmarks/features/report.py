"""The two tables: what each feature costs cloudlet, and cloudlet beside the peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common import table
from common.sampling import Summary, paired
from common.wrk import Load
from features.catalogue import Feature

_OURS = "cloudlet"
Samples = Mapping[str, Mapping[str, Sequence[Load]]]


def report(features: Sequence[Feature], samples: Samples) -> None:
    ours = samples[_OURS]
    print("What each feature costs cloudlet, on one core; ratios are of pairs within a round, lowest to highest")
    head = ("feature", "requests/s", "p99", "compared with", "requests/s ratio", "range", "p99 ratio", "failed", "n")
    table.show(head, [_row(feature, ours) for feature in features if feature.name in ours])
    print("\nrequests/s of cloudlet through each peer's, where it can do the same")
    theirs = [name for name in samples if name != _OURS]
    table.show(("feature", *theirs), [_beside(f, theirs, samples) for f in features if f.peers])
    for feature in features:
        print(f"{feature.name}: {feature.what}")


def _row(feature: Feature, ours: Mapping[str, Sequence[Load]]) -> list[str]:
    loads = ours[feature.name]
    base = ours.get(feature.base, loads)
    rate = paired([load.rate for load in loads], [load.rate for load in base])
    p99 = paired([load.p99 for load in loads], [load.p99 for load in base])
    return [
        feature.name,
        f"{Summary.of([load.rate for load in loads]).median:,.0f}",
        f"{Summary.of([load.p99 for load in loads]).median * 1000:.2f} ms",
        feature.base if feature.base in ours else "",
        f"{rate.median:.2f}",
        f"{rate.low:.2f}-{rate.high:.2f}",
        f"{p99.median:.2f}",
        str(sum(load.failed for load in loads)),
        str(len(loads)),
    ]


def _beside(feature: Feature, theirs: Sequence[str], samples: Samples) -> list[str]:
    def cell(name: str) -> str:
        loads = samples[name].get(feature.name)
        if not loads:
            return "-"
        ratio = paired([load.rate for load in samples[_OURS][feature.name]], [load.rate for load in loads])
        return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"

    return [feature.name, *map(cell, theirs)]
