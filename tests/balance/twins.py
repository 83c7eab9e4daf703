"""The situations that HAProxy is put into, for its twins."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from cloudlet.policy.balance import Request, Server, Servers, twin


def equals(number: int, name: str = "a") -> tuple[Server, ...]:
    """Servers named like those of the edge's harness."""
    return tuple(Server(f"{name}-{ordinal}", ordinal) for ordinal in range(1, number + 1))


def weighted(*weights: int) -> tuple[Server, ...]:
    return tuple(replace(server, weight=weight) for server, weight in zip(equals(len(weights)), weights, strict=True))


def drawing(seed: int = 1) -> Iterator[Request]:
    """Requests without a key, for ever."""
    numbers = random.Random(seed)
    while True:
        yield Request(draws=(numbers.random(), numbers.random()))


class Twin:
    """A twin with its state."""

    def __init__(self, algorithm: str, bounded: float | None = None) -> None:
        self._balancer = twin(algorithm, bounded)
        self._state = self._balancer.begin()

    def choose(self, servers: Servers, request: Request | None = None) -> Server:
        choice, self._state = self._balancer.choose(servers, request or Request(), self._state)
        assert choice.server is not None, choice.because
        return choice.server

    def spread(self, servers: Servers, requests: Iterable[Request]) -> Counter[str]:
        """How many each gets, nothing of it staying in flight."""
        return Counter(self.choose(servers, request).name for request in requests)

    def names(self, servers: Servers, requests: Iterable[Request]) -> list[str]:
        return [self.choose(servers, request).name for request in requests]


def closed_loop(
    algorithm: str, servers: Sequence[Server], delays: Mapping[str, float], clients: int, requests: int
) -> Counter[str]:
    """How many each server gets from so many clients that send again when answered, `delays` being seconds."""
    balancer, draws, order = Twin(algorithm), drawing(), count()
    present = {server.ordinal: server for server in servers}
    # when, in which order among equals, and whom the answer comes from
    answers = [(0.0, next(order), 0) for _ in range(clients)]
    got: Counter[str] = Counter()
    for _ in range(requests):
        now, _, answered = heapq.heappop(answers)
        _count(present, answered, -1)
        chosen = balancer.choose(tuple(present.values()), next(draws))
        _count(present, chosen.ordinal, +1)
        got[chosen.name] += 1
        heapq.heappush(answers, (now + delays[chosen.name], next(order), chosen.ordinal))
    return got


def _count(servers: dict[int, Server], ordinal: int, change: int) -> None:
    if ordinal:
        servers[ordinal] = replace(servers[ordinal], connections=servers[ordinal].connections + change)


def shares(names: Sequence[str]) -> dict[str, float]:
    return {name: number / len(names) for name, number in sorted(Counter(names).items())}
