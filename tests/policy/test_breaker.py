"""The circuit breaker's decisions, whatever happens in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.breaker import End, Phase, Rule, State, Window, ask, ended

RULE = Rule(errors=0.5, over=10.0, at_least=20, open_for=5.0)


def after(answers: int, failed: int, now: float = 100.0) -> State:
    """A closed breaker that has seen these within an instant."""
    state = State()
    for number in range(answers):
        state = ended(state, RULE, End.FAILED if number < failed else End.GOOD, now, trial=False)
    return state


@pytest.mark.parametrize(
    ("answers", "failed", "passes"),
    [(20, 10, False), (20, 9, True), (19, 19, True), (1000, 500, False), (1000, 499, True), (0, 0, True)],
)
def test_it_opens_at_the_share_and_the_number_that_the_rule_says(answers: int, failed: int, passes: bool) -> None:
    """Half of twenty; one less of either is not enough."""
    verdict = ask(after(answers, failed), RULE, 100.5)
    assert verdict.passes is passes
    if not passes:
        assert verdict.because == f"opened because {failed} of {answers} answers failed"


def test_open_then_half_open_then_closed() -> None:
    """Nothing for five seconds, then one request; its good answer forgets everything before."""
    state = ask(after(20, 20), RULE, 100.0).state
    assert state.phase(104.9) is Phase.OPEN
    assert not ask(state, RULE, 104.9).passes
    trial = ask(state, RULE, 105.0)
    assert (trial.passes, trial.trial, trial.state.phase(105.0)) == (True, True, Phase.HALF_OPEN)
    assert not ask(trial.state, RULE, 106.0).passes
    closed = ended(trial.state, RULE, End.GOOD, 107.0, trial=True)
    assert closed == State()
    assert ask(closed, RULE, 107.0).passes


@pytest.mark.parametrize(("end", "tried_again"), [(End.FAILED, 112.0), (End.LOST, 110.0), (End.OTHER, 110.0)])
def test_a_trial_that_is_not_good_opens_again(end: End, tried_again: float) -> None:
    """A failed one for `open_for` from then, one without an answer from its start."""
    trial = ask(ask(after(20, 20), RULE, 100.0).state, RULE, 105.0).state
    state = ended(trial, RULE, end, 107.0, trial=True)
    assert not ask(state, RULE, tried_again - 0.1).passes
    assert ask(state, RULE, tried_again).trial


def test_a_trial_that_lasts_keeps_all_others_out() -> None:
    """However long: a hanging service gets one request at a time."""
    trial = ask(ask(after(20, 20), RULE, 100.0).state, RULE, 105.0).state
    assert not ask(trial, RULE, 1000.0).passes


def test_what_is_long_ago_does_not_count() -> None:
    """Twenty failures are half as many when half of `over` has gone since their period, and none later."""
    window = Window()
    for _ in range(20):
        window = window.add(1, 100.0, 10.0)
    assert [window.estimate(now, 10.0) for now in (109.9, 115.0, 120.0)] == [(20, 20), (10, 10), (0, 0)]


@dataclass
class Service:
    """A breaker before a service, at which things happen."""

    rule: Rule
    now: float = 1000.0
    state: State = field(default_factory=State)
    under_way: list[bool] = field(default_factory=list)

    def arrive(self) -> None:
        before = self.state.phase(self.now)
        verdict = ask(self.state, self.rule, self.now)
        if before is Phase.OPEN:
            assert not verdict.passes
        self.state = verdict.state
        if verdict.passes:
            self.under_way.append(verdict.trial)
        assert sum(self.under_way) <= 1

    def end(self, end: End) -> None:
        if self.under_way:
            trial = self.under_way.pop(0)
            self.state = ended(self.state, self.rule, end, self.now, trial=trial)
            if trial and end is End.GOOD:
                assert ask(self.state, self.rule, self.now).passes


STEPS = st.lists(st.one_of(st.just("arrive"), st.sampled_from(list(End)), st.floats(0, 20)), max_size=200)
RULES = st.builds(Rule, st.floats(0.01, 1.0), st.floats(0.5, 30.0), st.integers(1, 20), st.floats(0.1, 20.0))


@given(RULES, STEPS)
def test_open_passes_nothing_and_there_is_one_trial(rule: Rule, steps: list[str | End | float]) -> None:
    """Whatever arrives and ends when."""
    service = Service(rule)
    for step in steps:
        if isinstance(step, float):
            service.now += step
        elif step == "arrive":
            service.arrive()
        else:
            service.end(End(step))


@given(RULES, STEPS)
def test_good_answers_never_open_it(rule: Rule, steps: list[str | End | float]) -> None:
    """Nor do clients that go away."""
    service = Service(rule)
    for step in steps:
        if isinstance(step, float):
            service.now += step
        elif step == "arrive":
            service.arrive()
            assert service.state.until is None
        else:
            service.end(End.GOOD if End(step) is not End.OTHER else End.OTHER)


@given(RULES, st.integers(0, 100), st.integers(1, 40))
def test_failures_alone_open_it_after_so_many(rule: Rule, good: int, failed: int) -> None:
    """Within one period the estimate is exact."""
    service = Service(rule)
    for end in (*[End.GOOD] * good, *[End.FAILED] * failed):
        service.state = ended(service.state, rule, end, service.now, trial=False)
    opens = good + failed >= rule.at_least and failed >= rule.errors * (good + failed)
    assert ask(service.state, rule, service.now).passes is not opens
