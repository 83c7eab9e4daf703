"""What the journal says of breakers, from what two looks at them have seen."""

from __future__ import annotations

import pytest

from cloudlet.control.breakers import told
from cloudlet.edge.breakers import BreakerState, breaker_state, spent_budgets

CLOSED = BreakerState(answers=20, failed=3)
OPENED = BreakerState(until=100.0, opened=1, answers=20, failed=12)
TRYING = BreakerState(until=105.0, trial=True, opened=1, trials=1)
AGAIN = BreakerState(until=110.0, opened=1, trials=1)
CLOSES = BreakerState(opened=1, trials=2, closed=1)


@pytest.mark.parametrize(
    ("before", "now", "events"),
    [
        (CLOSED, CLOSED, []),
        (CLOSED, OPENED, ["breaker opened"]),
        (OPENED, TRYING, ["breaker half-open"]),
        (TRYING, AGAIN, ["breaker opened again"]),
        (OPENED, AGAIN, ["breaker half-open", "breaker opened again"]),
        (AGAIN, CLOSES, ["breaker half-open", "breaker closed"]),
        (TRYING, BreakerState(opened=1, trials=1, closed=1), ["breaker closed"]),
        (CLOSED, BreakerState(opened=1, trials=1, closed=1), ["breaker opened", "breaker half-open", "breaker closed"]),
        (
            OPENED,
            BreakerState(until=120.0, opened=2, trials=1, closed=1),
            ["breaker half-open", "breaker closed", "breaker opened"],
        ),
        (CLOSES, CLOSED, []),
    ],
)
def test_everything_that_happened_is_told_in_its_order(
    before: BreakerState, now: BreakerState, events: list[str]
) -> None:
    """Also what came and went between the looks; another process begins anew."""
    assert [event for _, event, _ in told(before, now)] == events


def test_the_reason_says_the_counts() -> None:
    """Of the last `over`."""
    ((level, _, because),) = told(CLOSED, OPENED)
    assert (level, because) == ("warning", "12 of 20 answers failed")


def test_a_table_is_read() -> None:
    """The state and the counts of since it was closed last; an empty one is a closed breaker."""
    text = (
        "# table: web, type: integer, size:100, used:3\n"
        "0x1: key=0 use=1 exp=1 shard=0 conn_cur=1 gpt0=952708330 gpt1=1 gpc0=2 gpc1=3 gpc2=0 gpc3=0"
        " gpc0_rate(10000)=1 gpc1_rate(10000)=0 gpc2_rate(10000)=0 gpc3_rate(10000)=0\n"
        "0x2: key=1 use=0 exp=1 shard=0 conn_cur=0 gpt0=0 gpt1=0 gpc0=9 gpc1=9 gpc2=9 gpc3=0"
        " gpc0_rate(10000)=9 gpc1_rate(10000)=9 gpc2_rate(10000)=9 gpc3_rate(10000)=0\n"
        "0x3: key=2 use=0 exp=1 shard=0 conn_cur=0 gpt0=0 gpt1=0 gpc0=30 gpc1=30 gpc2=12 gpc3=0"
        " gpc0_rate(10000)=20 gpc1_rate(10000)=20 gpc2_rate(10000)=12 gpc3_rate(10000)=0\n\n"
    )
    expected = BreakerState(until=1_795_270_833.0, trial=True, opened=2, trials=3, closed=1, answers=20, failed=12)
    assert breaker_state(text) == expected
    assert breaker_state("# table: web, type: integer, size:100, used:0\n\n") == BreakerState()


def test_spent_budgets_are_read() -> None:
    """`show map` gives an address, the key and the value."""
    assert spent_budgets("0x55d web 90 of 400\n0x55e api 101 of 5\n\n") == {"web": "90 of 400", "api": "101 of 5"}
