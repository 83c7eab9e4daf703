"""The circuit breaker as a state machine: closed → open → half-open → closed or open. The pure twin of what HAProxy's
rules do (edge/render_breaker.py); the simulator uses it, and the tests hold one against the other.

    closed      requests pass; opens when of at least `at_least` answers of the last `over` a share of `errors` failed
    open        nothing passes for `open_for`
    half-open   one request at a time passes, the trial: a good answer closes and forgets all counts, a failed one
                opens for `open_for` again; one that is lost without an answer, for `open_for` from its start

Invariants (tests/policy/test_breaker.py): nothing passes while it is open; never two trials at once; it never opens on
good answers alone, nor on fewer than `at_least`.

The last `over` is estimated as HAProxy does it: the present period whole, the one before by what of it still overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Phase(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class End(StrEnum):
    """How a request ended. `LOST` is without an answer; `OTHER` was not the service's fault (the client went)."""

    GOOD = "good"
    FAILED = "failed"
    LOST = "lost"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Rule:
    """Times in seconds, `errors` a share."""

    errors: float = 0.5
    over: float = 10.0
    at_least: int = 20
    open_for: float = 5.0


@dataclass(frozen=True, slots=True)
class Window:
    """Answers and failed ones of the present period, which began at `since`, and of the one before."""

    since: float = 0.0
    answers: int = 0
    failed: int = 0
    answers_before: int = 0
    failed_before: int = 0

    def add(self, failed: int, now: float, over: float) -> Window:
        here = self.at(now, over)
        return replace(here, answers=here.answers + 1, failed=here.failed + failed)

    def at(self, now: float, over: float) -> Window:
        """The same when `now` is in its present period."""
        if now - self.since < over:
            return self
        if now - self.since < 2 * over:
            return Window(self.since + over, 0, 0, self.answers, self.failed)
        return Window(now)

    def estimate(self, now: float, over: float) -> tuple[int, int]:
        """Answers of the last `over` and failed ones among them, rounded down."""
        here = self.at(now, over)
        overlap = (here.since + over - now) / over
        return _sum(here.answers, here.answers_before, overlap), _sum(here.failed, here.failed_before, overlap)


@dataclass(frozen=True, slots=True)
class State:
    """`until` is when an open one is tried again, None while it is closed; `trial` whether one is under way."""

    until: float | None = None
    trial: bool = False
    window: Window = field(default_factory=Window)

    def phase(self, now: float) -> Phase:
        if self.until is None:
            return Phase.CLOSED
        return Phase.HALF_OPEN if self.trial or now >= self.until else Phase.OPEN


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request passes, the state it leaves, and why. `trial` is to be handed to `ended`."""

    state: State
    passes: bool
    trial: bool
    because: str


def ask(state: State, rule: Rule, now: float) -> Verdict:
    """A request comes. Seconds on any clock that does not go back."""
    if state.until is not None:
        return _asked_open(state, state.until, rule, now)
    answers, failed = state.window.estimate(now, rule.over)
    if answers >= rule.at_least and failed >= rule.errors * answers:
        because = f"opened because {failed} of {answers} answers failed"
        return Verdict(replace(state, until=now + rule.open_for), False, False, because)
    return Verdict(state, True, False, "it is closed")


def _asked_open(state: State, until: float, rule: Rule, now: float) -> Verdict:
    if now < until:
        return Verdict(state, False, False, f"it is open for {until - now:.1f} s more")
    if state.trial:
        return Verdict(state, False, False, "another request tries the service just now")
    return Verdict(
        replace(state, until=now + rule.open_for, trial=True), True, True, "it is half-open, and this tries it"
    )


def ended(state: State, rule: Rule, end: End, now: float, *, trial: bool) -> State:
    """A request that had passed has ended."""
    if not trial:
        counts = end is not End.OTHER
        return replace(state, window=state.window.add(end is not End.GOOD, now, rule.over)) if counts else state
    if end is End.GOOD:
        return State()
    return replace(state, trial=False, until=now + rule.open_for if end is End.FAILED else state.until)


def _sum(present: int, before: int, overlap: float) -> int:
    if present == 0 and before <= 1:
        return before  # HAProxy's: one event does not come and go
    return present + int(before * overlap)
