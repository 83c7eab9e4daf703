"""One measurement of one proxy."""

from __future__ import annotations

from dataclasses import dataclass

from common import procfs, wrk
from common.cores import Cores
from peers.proxy import Proxy

PATH = "/api/orders/42"


@dataclass(frozen=True, slots=True)
class Sample:
    """`rate` in requests/s, `p50` and `p99` in seconds. `busy` is the share of its core that the proxy used: near 1,
    or something else was the limit. `per_cpu` is requests per second of the proxy's own CPU time, which a machine that
    others use too distorts less. `others` is the share of that core used by processes that are no part of this;
    `driving` the share of the other core in use, near 1 when the load could not be made faster; `stolen` the share of
    both that the hypervisor gave to somebody else."""

    rate: float
    p50: float
    p99: float
    failed: int
    busy: float
    per_cpu: float
    others: float
    driving: float
    stolen: float


def measure(proxy: Proxy, cores: Cores, seconds: float, connections: int) -> Sample:
    before, times = procfs.cpu_seconds(proxy.processes()), procfs.core_times()
    load = wrk.run(proxy.url(PATH), core=cores.driving, seconds=seconds, connections=connections)
    used = procfs.cpu_seconds(proxy.processes()) - before
    measured, driving = (_passed(core, times) for core in (cores.measured, cores.driving))
    return Sample(
        rate=load.rate,
        p50=load.p50,
        p99=load.p99,
        failed=load.failed,
        busy=used / load.seconds,
        per_cpu=load.requests / used if used > 0 else 0.0,
        others=max(0.0, measured[0] - used) / load.seconds,
        driving=driving[0] / load.seconds,
        stolen=(measured[1] + driving[1]) / load.seconds / 2,
    )


def _passed(core: int, since: dict[int, tuple[float, float]]) -> tuple[float, float]:
    """(busy, stolen) seconds of the core since then."""
    (busy, stolen), (busy_then, stolen_then) = procfs.core_times()[core], since[core]
    return busy - busy_then, stolen - stolen_then
