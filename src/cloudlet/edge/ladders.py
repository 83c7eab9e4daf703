"""Where a path alone does not decide: the routes that may take a request, the most specific first.

A ladder is named by what is in it, so that a map that leads to one never means another. It is tried in *turns*, each a
set of conditions, and the methods named or not; within a turn the method is a key:

    routes-ladders.map   LADDER|TURN|METHOD → label    TURN is a number in all turns of the file; METHOD may be missing
    routes-allow.map     LADDER|CONDITIONS → methods    as bits, in the order of policy.routing.METHODS

A preflight's method is `OPTIONS:METHOD`. Both maps change by succession only: turns are rules.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cloudlet.policy.conditions import Condition
from cloudlet.policy.routing import METHODS, Candidate

#: begins the names of ladders, and no label
MARK = "|"


@dataclass(frozen=True, slots=True)
class Turn:
    conditions: tuple[Condition, ...]
    named: bool


@dataclass(frozen=True)
class Ladder:
    """`steps` hold the label for each method, or for all of them under the empty one."""

    steps: tuple[tuple[Turn, Mapping[str, str]], ...]
    allow: Mapping[tuple[Condition, ...], int]

    @property
    def label(self) -> str | None:
        """The route that always takes the request; None where it depends."""
        turn, labels = self.steps[0]
        return labels[""] if not turn.conditions and not turn.named else None

    @property
    def value(self) -> str:
        """What a map leads to: a label, or this ladder's name."""
        return self.label or self.name

    @cached_property
    def name(self) -> str:
        content = [[repr(turn), sorted(labels.items())] for turn, labels in self.steps]
        text = json.dumps(content).encode()
        return MARK + hashlib.sha256(text).hexdigest()[:16]

    @property
    def turns(self) -> tuple[Turn, ...]:
        return tuple(turn for turn, _ in self.steps)


def ladder(candidates: Iterable[Candidate]) -> Ladder:
    """Of routes in their order, at least one; what stands behind one that takes everything is never asked."""
    steps: list[tuple[Turn, dict[str, str]]] = []
    allow: dict[tuple[Condition, ...], int] = {}
    for candidate in candidates:
        turn = Turn(candidate.conditions, bool(candidate.methods))
        if not steps or steps[-1][0] != turn:
            steps.append((turn, {}))
        for method in _keys(candidate):
            steps[-1][1].setdefault(method, candidate.label)
        if turn.named:
            bits = sum(1 << METHODS.index(method) for method in candidate.methods)
            allow[turn.conditions] = allow.get(turn.conditions, 0) | bits
        elif not turn.conditions:
            break
    return Ladder(tuple(steps), allow)


def _keys(candidate: Candidate) -> list[str]:
    if not candidate.methods:
        return [""]
    named = [method for method in METHODS if method in candidate.methods]
    preflights = METHODS if "OPTIONS" in named else named if candidate.cors else ()
    return [*named, *(f"OPTIONS:{method}" for method in preflights)]


def all_turns(ladders: Iterable[Ladder]) -> tuple[Turn, ...]:
    """A sequence that holds the turns of each ladder in their order."""
    found: list[Turn] = []
    for item in ladders:
        place = 0
        for turn in item.turns:
            try:
                place = found.index(turn, place) + 1
            except ValueError:
                found.insert(place, turn)
                place += 1
    return tuple(found)


def places(item: Ladder, turns: Sequence[Turn]) -> list[int]:
    """Where its turns stand among all."""
    found: list[int] = []
    for turn in item.turns:
        found.append(turns.index(turn, found[-1] + 1 if found else 0))
    return found


def ladder_entries(item: Ladder, turns: Sequence[Turn]) -> dict[str, str]:
    steps = zip(places(item, turns), item.steps, strict=True)
    return {f"{item.name}|{place}|{method}": label for place, (_, labels) in steps for method, label in labels.items()}


def allow_entries(item: Ladder, conditions: Sequence[tuple[Condition, ...]]) -> dict[str, str]:
    return {f"{item.name}|{conditions.index(wanted)}": str(bits) for wanted, bits in item.allow.items()}
