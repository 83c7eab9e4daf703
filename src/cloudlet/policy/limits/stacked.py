"""Several limits on one request: it passes when all let it pass, and only then does it count, in each of them.

A request that the second limit refuses takes nothing from the first: otherwise a client over its small limit would eat
up a large one that it shares with others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudlet.policy.limits.decision import Decision, Quota
from cloudlet.policy.limits.registry import ALGORITHMS


def decide_all(
    limits: Sequence[tuple[str, Quota]], states: Sequence[Any], now: int
) -> tuple[int | None, list[Decision], list[Any]]:
    """(algorithm, quota) each with its state. The first that refuses by number (None: it passes), all decisions, and
    the states after it: those before it where one refuses."""
    decided = [ALGORITHMS[name].decide(quota, state, now) for (name, quota), state in zip(limits, states, strict=True)]
    decisions = [decision for decision, _ in decided]
    refused = next((number for number, decision in enumerate(decisions) if not decision.allowed), None)
    after = [state for _, state in decided] if refused is None else list(states)
    return refused, decisions, after
