"""The rules of one stage: look at every limit, and when all let the request pass, count in all of them.

    look     native limits one after the other; nothing is counted
    count    first the stored ones (one question to Valkey, which again looks at all before it counts any), then the
             native ones, each in one atomic step
    race     another thread took the last place between look and count: what was counted natively is given back, and
             the request is refused; a limit is never passed
    refuse   429, and `txn.refused` says by which

A request that is refused after this stage, for want of credentials or by a limit of the next one, has counted in this
one: that is what protects the check of credentials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cloudlet.edge.limits import buckets, windows
from cloudlet.edge.limits.keys import prepare
from cloudlet.edge.limits.plan import GROUPS, Group, Plan, Slot, Stage
from cloudlet.edge.limits.store import ask
from cloudlet.edge.steps.counters import FIRST_LIMIT

_NONE_LEFT = "4294967295"  # minus one, as HAProxy's counters have it


def rules(made: Plan, stage: Stage) -> list[str]:
    """Empty where no limit is looked at in this stage."""
    slots = [slot for slot in made.slots if stage.takes(slot.limit)]
    if not slots:
        return []
    return [
        f"# limits by {'address' if stage is Stage.ADDRESSES else 'identity'}",
        *_once(made, stage),
        *_clocks(slots),
        *prepare(made, stage),
        *(line for group in made.everyone for slot in group.of(stage) for line in _look(made, group, slot)),
        *(_refuse(n) for n in _numbers(slots, stored=False)),
        *ask(made, stage),
        *_count(slots),
        *(line for group, slot in _queues(made, stage) for line in buckets.wait(slot, group.gate)),
        *(line for n in _numbers(slots) for line in _show(made, n)),
        "http-request deny deny_status 429 if limit-refused",
    ]


def _once(made: Plan, stage: Stage) -> list[str]:
    """What stands in the first stage that has limits."""
    if stage is not made.first_stage:
        return []
    found = ("refused", "raced") if made.native() else ("refused",)
    return [
        *(f"acl limit-{name} var(txn.limit_{name}) -m found" for name in found),
        *([f"http-request set-var(txn.limits) var(txn.route),map_str_int({GROUPS})"] if made.groups else []),
    ]


def _clocks(slots: Sequence[Slot]) -> list[str]:
    """One moment for all limits of a stage."""
    native = [slot for slot in slots if not slot.stored]
    lines = []
    if any(not slot.is_bucket for slot in native):
        lines.append("http-request set-var(txn.limit_now) date(0,ms)")
    if any(slot.is_bucket for slot in native):
        lines.append(f"http-request set-var(txn.limit_clock) {buckets.CLOCK}")
    return lines


def _look(made: Plan, group: Group, slot: Slot) -> list[str]:
    gate = group.gate
    lines = []
    if made.policy(slot.number) is None:
        when = f" if {gate}" if gate else ""
        lines.append(f"http-request set-var(txn.policy_{slot.number}) str({slot.policy}){when}")
    if slot.stored:
        return lines
    kind = buckets if slot.is_bucket else windows
    return [*lines, *kind.look(slot, FIRST_LIMIT + slot.number, gate)]


def _refuse(number: int) -> str:
    """By the first that has nothing free."""
    none = f"{{ var(txn.free_{number}) -m int lt 1 }}"
    return f"http-request set-var(txn.limit_refused) int({number + 1}) if {none} !limit-refused"


def _count(slots: Sequence[Slot]) -> Iterable[str]:
    """Between look and count other threads may have counted too: all of it is taken from what was free."""
    numbers = _numbers(slots, stored=False)
    for n in numbers:
        counted = f"{{ var(txn.used_{n}) -m found }}"
        yield f"http-request set-var(txn.count_{n}) sc_inc_gpc(0,{FIRST_LIMIT + n}) if {counted} !limit-refused"
        yield (
            f"http-request set-var(txn.free_{n}) var(txn.used_{n}),sub(txn.count_{n}),add(txn.free_{n})"
            f" if {{ var(txn.count_{n}) -m found }} !limit-refused"
        )
    for n in numbers:
        over = f"{{ var(txn.free_{n}) -m int lt 0 }}"
        yield f"http-request set-var(txn.limit_raced) int({n + 1}) if {over} !limit-refused"
    for n in numbers:
        counted = f"{{ var(txn.count_{n}) -m found }}"
        yield f"http-request sc-add-gpc(0,{FIRST_LIMIT + n}) int({_NONE_LEFT}) if limit-raced {counted}"
        yield f"http-request set-var(txn.free_{n}) int(0) if limit-raced {{ var(txn.free_{n}) -m int lt 0 }}"
        lost = f"limit-raced {{ var(txn.limit_raced) -m int eq {n + 1} }}"
        yield f"http-request set-var(txn.retry_{n}) int(1) if {lost}"
    if numbers:
        yield "http-request set-var(txn.limit_refused) var(txn.limit_raced) if limit-raced"


def _queues(made: Plan, stage: Stage) -> Iterable[tuple[Group, Slot]]:
    for group in made.everyone:
        for slot in group.of(stage):
            if slot.limit.algorithm == "leaky-bucket" and not slot.stored:
                yield group, slot


def _show(made: Plan, n: int) -> Iterable[str]:
    """What clients and log are told: of several limits the one of which least is left; the longest time to wait."""
    constant = made.policy(n)
    policy = f"var(txn.policy_{n})" if constant is None else f"str({constant})"
    if len(made.numbers) > 1:
        less = f" if {{ var(txn.free_{n}) -m found }} !{{ var(txn.free_{n}),sub(txn.limit_least) ge 0 }}"
        yield f"http-request set-var(txn.limit_policy) {policy}{less}"
        yield f"http-request set-var(txn.limit_reset) var(txn.reset_{n}){less}"
        yield f"http-request set-var(txn.limit_least) var(txn.free_{n}){less}"
    refused = f"if limit-refused {{ var(txn.limit_refused) -m int eq {n + 1} }}"
    name = f"%[{policy},field(1,;)]" if constant is None else constant.partition(";")[0]
    yield f"http-request set-var-fmt(txn.refused) rate-limit:{name} {refused}"
    longer = f"!{{ var(txn.limit_retry),sub(txn.retry_{n}) ge 0 }}"
    yield (
        f"http-request set-var(txn.limit_retry) var(txn.retry_{n})"
        f" if limit-refused {{ var(txn.retry_{n}) -m found }} {longer}"
    )


def _numbers(slots: Iterable[Slot], *, stored: bool = True) -> list[int]:
    """Of all slots, or of those that stick tables count."""
    return sorted({slot.number for slot in slots if stored or not slot.stored})
