"""When requests are due and which kind each is, decided before anything is sent."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence


def fixed(rate: float) -> Iterator[float]:
    """Due times in seconds after the start, evenly apart."""
    number = 0
    while True:
        yield number / rate
        number += 1


def poisson(rate: float, seed: int) -> Iterator[float]:
    """Due times as independent users make them: exponential intervals with mean 1/rate."""
    chance = random.Random(seed)
    due = 0.0
    while True:
        due += chance.expovariate(rate)
        yield due


def interleaved(weights: Sequence[int]) -> list[int]:
    """One round of indexes, each as often as its weight and spread evenly (nginx's smooth weighted
    round-robin)."""
    credit = [0] * len(weights)
    order = []
    for _ in range(sum(weights)):
        credit = [have + weight for have, weight in zip(credit, weights, strict=True)]
        chosen = max(range(len(weights)), key=credit.__getitem__)
        credit[chosen] -= sum(weights)
        order.append(chosen)
    return order
