"""What the circuit breakers and retry budgets of one HAProxy process say, read from its tables and maps. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudlet.edge.render_breaker import EPOCH

_RATE = re.compile(r"^(gpc\d+)_rate\(\d+\)$")


@dataclass(frozen=True, slots=True)
class BreakerState:
    """`until` is when an open one is tried again (Unix time), None while it is closed; `trial` whether a request tries
    the service just now. How often it was opened, tried and closed since the process began; answers in the last
    `over`, and failed ones among them."""

    until: float | None = None
    trial: bool = False
    opened: int = 0
    trials: int = 0
    closed: int = 0
    answers: int = 0
    failed: int = 0


def breaker_state(table: str) -> BreakerState:
    """From `show table` of a backend with a breaker (render_breaker.py has its schema)."""
    entries = _entries(table)
    state = entries.get(0, {})
    counts = entries.get(state.get("gpt1", 0) + 1, {})
    until = state.get("gpt0", 0)
    return BreakerState(
        until=(until + EPOCH) / 10 if until else None,
        trial=bool(until) and state.get("conn_cur", 0) > 0,
        opened=state.get("gpc0", 0),
        trials=state.get("gpc1", 0),
        closed=state.get("gpt1", 0),
        answers=counts.get("gpc1_rate", 0),
        failed=counts.get("gpc2_rate", 0),
    )


def spent_budgets(shown: str) -> dict[str, str]:
    """From `show map`: backend → repeats of requests when its budget was spent."""
    lines = (line.split(" ", 2) for line in shown.splitlines() if line)
    return {words[1]: words[2] for words in lines if len(words) == 3}


def _entries(table: str) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for line in table.splitlines():
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if words.get("key", "").isdigit():
            values = {_RATE.sub(r"\1_rate", name): value for name, value in words.items()}
            found[int(words["key"])] = {name: int(value) for name, value in values.items() if value.isdigit()}
    return found
