"""The weights of least-response-time and resource-based, decided once a second (a *look*) by measurement.

A server's weight goes towards the inverse of its cost: its response time, or the CPU it has not left. What
keeps this from the known failures ("leasttime" that starves one of two equal servers):
- noise breaks no symmetry: a difference within the noise of the measure counts as none, a greater one by what
  it is greater; so equals get equal weights, and come back to them from anywhere;
- nobody starves: never less than a tenth of the usual weight, and a server without news drifts back to the
  usual one, so it is always measured again;
- no oscillation: a weight goes a quarter of its way in a look, at most a quarter up or a fifth down, less
  with few requests as evidence. A busy server's response time rises with its load: in simulated queues up to
  95 % utilisation the weights stay within a band of 25;
- failing fast is not being fast: a server with more than a few errors never counts as faster than the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

#: the weight of an ordinary server, as in contracts.edge, which this layer may not import
USUAL_WEIGHT = 100
LEAST_WEIGHT = USUAL_WEIGHT // 10
GREATEST_WEIGHT = 2 * USUAL_WEIGHT
#: natural logarithm of the factor by which a cost has to differ from the mean to count at all
NEARLY_EQUAL = 0.1
#: seconds: HAProxy measures whole milliseconds
_RESOLUTION = 0.001
#: requests over which HAProxy's mean reaches
_MEMORY = 512
#: the share of the way to its goal that a weight goes in one look
_PACE = 0.25
#: the pace of a server without a single request
_DRIFT = 0.05
#: requests since the last look from which on the evidence is full
_ENOUGH = 10
#: one error in so many requests counts as failing
_FAILING = 20
#: the greatest factor between two weights in sequence
_STEP = 1.25
#: CPU that a server always counts as having left, so that two busy ones differ by no more than measured
_LEAST_FREE = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """One server since the last look. `response_time` is HAProxy's mean in seconds, 0 when there is none;
    `samples` the requests behind it (all it ever had will do); `cpu` the share of its CPU in use, 0 to 1."""

    name: str
    weight: int
    response_time: float = 0.0
    requests: int = 0
    errors: int = 0
    samples: int = _MEMORY
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Weight:
    """The next weight of a server, often the one that it has."""

    name: str
    weight: int
    because: str


def by_response_time(servers: Sequence[Measured]) -> tuple[Weight, ...]:
    """Weights of the servers that take part, faster ones more."""
    costs = [_time_cost(server) for server in servers]
    goals = _goals(costs, servers, _noise)
    mean = exp(_mean(costs, servers))
    return tuple(
        Weight(server.name, _stepped(server.weight, goal, _pace(server)), _why_time(server, mean, goal))
        for server, goal in zip(servers, goals, strict=True)
    )


def by_cpu(servers: Sequence[Measured]) -> tuple[Weight, ...]:
    """Weights of the servers that take part, those with more CPU left more."""
    costs: list[float | None] = [-log(max(_LEAST_FREE, 1.0 - server.cpu)) for server in servers]
    goals = _goals(costs, servers, lambda server: NEARLY_EQUAL)
    mean = sum(server.cpu for server in servers) / len(servers) if servers else 0.0
    return tuple(
        Weight(
            server.name,
            _stepped(server.weight, goal, _PACE),
            f"it uses {server.cpu:.0%} of its CPU, the mean is {mean:.0%}",
        )
        for server, goal in zip(servers, goals, strict=True)
    )


def _time_cost(server: Measured) -> float | None:
    """None for a server that had no request: its old response time says nothing of now."""
    return log(server.response_time) if server.requests > 0 and server.response_time > 0 else None


def _pace(server: Measured) -> float:
    return _PACE * min(1.0, server.requests / _ENOUGH) or _DRIFT


def _goals(
    costs: Sequence[float | None], servers: Sequence[Measured], noise: Callable[[Measured], float]
) -> list[float]:
    """Where the weights are to go: inverse to the cost, their mean the usual weight, each within its
    limits."""
    mean = _mean(costs, servers)
    shares = []
    for cost, server in zip(costs, servers, strict=True):
        above = 0.0 if cost is None else _beyond(cost - mean, noise(server))
        shares.append(exp(-max(0.0, above) if _failing(server) else -above))
    scale = USUAL_WEIGHT * len(shares) / sum(shares) if shares else 0.0
    return [min(GREATEST_WEIGHT, max(LEAST_WEIGHT, scale * share)) for share in shares]


def _mean(costs: Sequence[float | None], servers: Sequence[Measured]) -> float:
    """Of those that serve well, for what fails fast says nothing of how fast one can be; of all when none
    does."""
    known = [(cost, server) for cost, server in zip(costs, servers, strict=True) if cost is not None]
    well = [cost for cost, server in known if not _failing(server)] or [cost for cost, _ in known]
    return sum(well) / len(well) if well else 0.0


def _failing(server: Measured) -> bool:
    return server.errors * _FAILING > server.requests


def _noise(server: Measured) -> float:
    """What a mean response time is off by: the spread of so many samples, and the clock's resolution."""
    samples = max(1, min(_MEMORY, server.samples))
    return NEARLY_EQUAL + 1.0 / sqrt(samples) + _RESOLUTION / server.response_time


def _beyond(difference: float, noise: float) -> float:
    """What remains of a difference without the noise; continuous, so that nothing flips at its edge."""
    if abs(difference) <= noise:
        return 0.0
    return difference - noise if difference > 0 else difference + noise


def _stepped(weight: int, goal: float, pace: float) -> int:
    """The next weight on the way to the goal: whole, and at least one step when it is a whole one away."""
    wanted = weight + (goal - weight) * pace
    bounded = min(weight * _STEP, max(weight / _STEP, wanted))
    if abs(goal - weight) < 1.0:
        return weight
    moved = max(1, round(abs(bounded - weight)))
    following = weight + moved if goal > weight else weight - moved
    return min(GREATEST_WEIGHT, max(LEAST_WEIGHT, following))


def _why_time(server: Measured, mean: float, goal: float) -> str:
    if server.requests == 0 or server.response_time <= 0:
        return "it had no request to measure, so it drifts to the usual weight"
    times = f"it answers in {server.response_time * 1000:.1f} ms, the mean is {mean * 1000:.1f} ms"
    if _failing(server) and server.response_time < mean:
        return f"{times}, but {server.errors} errors do not count as fast"
    return times if round(goal) != USUAL_WEIGHT else f"{times}: nearly equal"
