"""Passive checks: who is taken out, for how long, and who never is."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.ejection import (
    LONGEST_EJECTION,
    Decision,
    Eject,
    Record,
    Restore,
    Rule,
    Traffic,
    decide,
)

names = st.sampled_from([f"s-{n}" for n in range(1, 9)])
traffic = st.builds(Traffic, names, st.integers(0, 30), st.integers(0, 30), st.booleans())
looks = st.lists(st.tuples(st.lists(traffic, max_size=8, unique_by=lambda t: t.name), st.floats(0, 60)), max_size=25)
rules = st.builds(Rule, st.integers(1, 10), st.floats(0, 1), st.floats(0.1, 60))


def out(decision: Decision) -> set[str]:
    return {name for name, record in decision.records.items() if record.out_until is not None}


def fail(*bad: str, of: int = 4, errors: int = 5) -> list[Traffic]:
    """A look in which some of so many servers answered nothing but errors."""
    every = [f"s-{n}" for n in range(1, of + 1)]
    return [Traffic(name, errors, 0) if name in bad else Traffic(name, 0, 20) for name in every]


def follow(looks: Sequence[tuple[float, list[Traffic]]], rule: Rule = Rule()) -> list[Decision]:  # noqa: B008
    decisions: list[Decision] = []
    records: dict[str, Record] = {}
    for now, seen in looks:
        decision = decide(seen, records, rule, now)
        records = dict(decision.records)
        decisions.append(decision)
    return decisions


@given(looks, rules)
def test_the_cap_is_never_exceeded_and_one_that_is_up_always_stays(
    steps: list[tuple[list[Traffic], float]], rule: Rule
) -> None:
    """Over any history, with servers coming, going and failing all at once."""
    records: dict[str, Record] = {}
    now = 0.0
    for seen, wait in steps:
        now += wait
        decision = decide(seen, records, rule, now)
        records = dict(decision.records)
        gone = out(decision)
        assert set(records) == {server.name for server in seen}
        assert len(gone) <= rule.at_most * len(seen) + 1e-6
        up = {server.name for server in seen if server.up}
        assert not up or up - gone
        for name in gone:
            assert records[name].out_until > now


@given(looks, rules)
def test_every_action_changes_something_and_says_why(steps: list[tuple[list[Traffic], float]], rule: Rule) -> None:
    """Only who is in is ejected, only who is out restored, and nobody twice in one decision."""
    records: dict[str, Record] = {}
    now = 0.0
    for seen, wait in steps:
        now += wait
        was_out = {name for name, record in records.items() if record.out_until is not None}
        decision = decide(seen, records, rule, now)
        restored = {a.name for a in decision.actions if isinstance(a, Restore)}
        ejected = {a.name for a in decision.actions if isinstance(a, Eject)}
        assert restored <= was_out
        assert not ejected & was_out - restored
        assert len(decision.actions) == len(restored) + len(ejected)
        assert all(action.because for action in decision.actions)
        records = dict(decision.records)


def test_errors_in_a_row_eject_also_over_several_looks() -> None:
    """Two looks with three and two errors and nothing else make five."""
    first, second = follow([(0, fail("s-1", errors=3)), (1, fail("s-1", errors=2))])
    assert first.actions == ()
    assert second.actions == (Eject("s-1", 11.0, "5 errors in a row, 5 eject; out for 10 s"),)


def test_a_success_breaks_the_row() -> None:
    """Errors that may have been apart eject nobody."""
    steps = [(n, [Traffic("s-1", 4, 1), Traffic("s-2", 0, 9)]) for n in range(10)]
    assert all(decision.actions == () for decision in follow(steps))


def test_so_many_errors_that_some_were_in_a_row_eject() -> None:
    """Ninety errors among ten successes hold a row of nine at least; half and half need not hold one of
    two."""
    assert out(follow([(0, [Traffic("s-1", 90, 10), Traffic("s-2", 0, 9)])])[0]) == {"s-1"}
    assert out(follow([(0, [Traffic("s-1", 50, 50), Traffic("s-2", 0, 9)])])[0]) == set()


def test_a_poisonous_request_cannot_empty_the_backend() -> None:
    """Every server fails everything: half of them go out, by the cap, and the rest serve on."""
    decision = follow([(0, fail("s-1", "s-2", "s-3", "s-4"))])[0]
    assert len(out(decision)) == 2
    everything = Rule(at_most=1.0)
    assert len(out(follow([(0, fail("s-1", "s-2", "s-3", "s-4"))], everything)[0])) == 3
    assert out(follow([(0, fail("s-1", of=1))], everything)[0]) == set()


def test_the_worst_goes_first_when_not_all_may() -> None:
    """One without any success before one with some."""
    seen = [Traffic("s-1", 60, 5), Traffic("s-2", 40, 0), Traffic("s-3", 0, 9)]
    assert out(follow([(0, seen)])[0]) == {"s-2"}


def test_a_share_of_nothing_ejects_nobody() -> None:
    """`at_most: 0%` switches it off."""
    assert out(follow([(0, fail("s-1"))], Rule(at_most=0.0))[0]) == set()


def test_ejections_last_longer_each_time_until_it_serves_well() -> None:
    """Ten seconds, then twenty, forty; ten again once it served for as long as it had been out."""
    steps: list[tuple[float, list[Traffic]]] = []
    for start in (0, 11, 33):
        steps += [(start, fail("s-1")), (start + 1, fail())]
    ends = [a for d in follow([*steps, (74.0, fail()), (119.0, fail()), (120.0, fail("s-1"))]) for a in d.actions]
    lasting = [a.until for a in ends if isinstance(a, Eject)]
    assert lasting == [10.0, 11 + 20.0, 33 + 40.0, 120 + 10.0]
    assert "ejection of 10 s is over" in next(a.because for a in ends if isinstance(a, Restore))


def test_who_only_failed_since_it_came_back_has_not_served() -> None:
    """However long its next errors take to come, or however short the ejection was beside the time between looks."""
    for wait in (1, 60):
        rule, back = Rule(first=1.0), 1
        steps = [(0, fail("s-1")), (back, fail()), (back + wait, fail("s-1", errors=4)), (back + 2 * wait, fail("s-1"))]
        last = follow(steps, rule)[-1].actions
        assert [action.until for action in last if isinstance(action, Eject)] == [back + 2 * wait + 2.0]


def test_the_longest_ejection_is_bounded() -> None:
    """However often it fails right after it came back."""
    records: dict[str, Record] = {}
    now, longest = 0.0, 0.0
    for _ in range(400):
        decision = decide(fail("s-1"), records, Rule(), now)
        records = dict(decision.records)
        for action in decision.actions:
            if isinstance(action, Eject):
                longest = max(longest, action.until - now)
        now += 10.0
    assert longest == LONGEST_EJECTION


def test_what_fails_while_it_is_out_does_not_count() -> None:
    """Requests that were under way when it went out keep it out no longer."""
    decisions = follow([(0, fail("s-1")), (5, fail("s-1")), (10, fail("s-1", errors=2))])
    assert isinstance(decisions[2].actions[0], Restore)
    assert out(decisions[2]) == set()


def test_servers_that_leave_bring_ejected_ones_back() -> None:
    """Two of four may be out, of two only one; and never the last one that is up."""
    two_out = follow([(0, fail("s-1", "s-2"))])[0]
    fewer = decide([Traffic("s-1"), Traffic("s-2")], two_out.records, Rule(), 1.0)
    assert len(out(fewer)) == 1
    others_down = [Traffic("s-1"), Traffic("s-2"), Traffic("s-3", up=False), Traffic("s-4", up=False)]
    last = decide(others_down, two_out.records, Rule(), 1.0)
    assert len(out(last)) == 1
    assert "no other server is up" in last.actions[0].because
