"""What the samples say: each proxy's own figures, and the ratios that DESIGN.md has budgets for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common import table
from common.sampling import Summary, paired
from peers.proxy import Proxy
from peers.round import Sample

#: requests/s of the first proxy through another's, at least
BUDGETS = {"haproxy": 0.95, "traefik": 2.0, "traefik-fast": 2.0, "caddy": 2.0, "envoy": 2.0}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ratio` of requests/s, `per_cpu` of requests per CPU second, `p99` of latency: ours through theirs."""

    ours: str
    theirs: str
    ratio: Summary
    per_cpu: Summary
    p99: Summary
    budget: float | None

    @property
    def met(self) -> bool | None:
        return None if self.budget is None else self.ratio.median >= self.budget


def verdicts(proxies: Sequence[Proxy], samples: Mapping[str, Sequence[Sample]]) -> list[Verdict]:
    """The first proxy against each other; budgets are cloudlet's."""
    ours = proxies[0].name
    return [_verdict(ours, other.name, samples[ours], samples[other.name]) for other in proxies[1:]]


def _verdict(ours: str, theirs: str, our: Sequence[Sample], their: Sequence[Sample]) -> Verdict:
    return Verdict(
        ours,
        theirs,
        paired([s.rate for s in our], [s.rate for s in their]),
        paired([s.per_cpu for s in our], [s.per_cpu for s in their]),
        paired([s.p99 for s in our], [s.p99 for s in their]),
        BUDGETS.get(theirs) if ours == "cloudlet" else None,
    )


def report(
    proxies: Sequence[Proxy],
    duties: Mapping[str, Mapping[str, str]],
    samples: Mapping[str, Sequence[Sample]],
    found: Sequence[Verdict],
) -> None:
    table.show(
        (
            "proxy",
            "version",
            "requests/s",
            "range",
            "p50",
            "p99",
            "its core",
            "others",
            "driver",
            "requests/CPU-s",
            "failed",
            "n",
        ),
        [_figures(proxy, samples[proxy.name]) for proxy in proxies],
    )
    print()
    for proxy in proxies:
        said = ", ".join(f"{what} {how}" for what, how in duties[proxy.name].items())
        print(f"{proxy.name}: {proxy.note + '; ' if proxy.note else ''}{said}")
    if found:
        print(f"\n{found[0].ours} through each, median of pairs within a round (lowest to highest)")
        table.show(
            ("against", "requests/s", "range", "requests/CPU-s", "p99", "n", "budget", "met"), [_row(v) for v in found]
        )
    print("\nits core: the share of it that the proxy used; others: that which programs beside this benchmark used;")
    print("driver: the share of the other core in use. requests/CPU-s is per second of the proxy's own CPU time.")
    stolen = max(sample.stolen for each in samples.values() for sample in each)
    print(f"share of both cores stolen by the hypervisor: at most {stolen:.1%} in any measurement")


def _figures(proxy: Proxy, samples: Sequence[Sample]) -> list[str]:
    rate = Summary.of([s.rate for s in samples])
    return [
        proxy.name,
        proxy.version,
        f"{rate.median:,.0f}",
        f"{rate.low:,.0f}-{rate.high:,.0f}",
        _milliseconds([s.p50 for s in samples]),
        _milliseconds([s.p99 for s in samples]),
        _share([s.busy for s in samples]),
        _share([s.others for s in samples]),
        _share([s.driving for s in samples]),
        f"{Summary.of([s.per_cpu for s in samples]).median:,.0f}",
        str(sum(s.failed for s in samples)),
        str(rate.n),
    ]


def _row(verdict: Verdict) -> list[str]:
    ratio = verdict.ratio
    return [
        verdict.theirs,
        f"{ratio.median:.2f}",
        f"{ratio.low:.2f}-{ratio.high:.2f}",
        f"{verdict.per_cpu.median:.2f}",
        f"{verdict.p99.median:.2f}",
        str(ratio.n),
        f">= {verdict.budget:g}" if verdict.budget is not None else "",
        {None: "", True: "yes", False: "NO"}[verdict.met],
    ]


def _share(shares: Sequence[float]) -> str:
    return f"{Summary.of(shares).median:.0%}"


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{Summary.of(seconds).median * 1000:.2f} ms"
