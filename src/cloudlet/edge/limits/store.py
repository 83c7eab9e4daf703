"""Limits that Valkey counts: their keys are made by rules, one Lua action asks for all of a stage's in one round trip.

limits.lua        the actions: asking, and waiting in a leaky bucket
limits-data.lua   where the store is, and the numbers of each set of limits; private, for it holds the password
limits-count.lua  the script that Valkey runs
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files

from cloudlet.contracts.limits import LimitStore
from cloudlet.edge.limits.buckets import EPOCH
from cloudlet.edge.limits.keys import key
from cloudlet.edge.limits.plan import Plan, Slot, Stage
from cloudlet.errors import InternalError

LUA, DATA, SCRIPT = "limits.lua", "limits-data.lua", "limits-count.lua"


def ask(made: Plan, stage: Stage) -> Iterable[str]:
    """The common limits are asked for together with those of the route's group."""
    common = _stored(made.common.of(stage))
    for group in made.everyone:
        own = _stored(group.of(stage))
        also = f"{group.gate} " if group.gate else ""
        when = f" if {group.gate}" if group.gate else ""
        yield from (f"http-request set-var-fmt(txn.key_{slot.number}) {key(slot)}{when}" for slot in own)
        if group.number and own:
            yield f"http-request lua.limits {_set(stage, group.number)} if {also}!limit-refused"
    if common:
        others = [f"!{group.gate}" for group in made.groups if _stored(group.of(stage))]
        yield f"http-request lua.limits {_set(stage, 0)} if {' '.join((*others, '!limit-refused'))}"


def lua_files(made: Plan, store: LimitStore | None) -> dict[str, str]:
    """Nothing where neither Valkey counts nor anybody waits."""
    if not needs_lua(made):
        return {}
    if store is None and any(slot.stored for slot in made.slots):
        raise InternalError("the edge was given limits that only a store can count, but no store")
    script = _file("count.lua")
    return {LUA: _file("limits.lua"), DATA: _data(made, store, script), SCRIPT: script}


def needs_lua(made: Plan) -> bool:
    return any(slot.stored or slot.limit.algorithm == "leaky-bucket" for slot in made.slots)


def _file(name: str) -> str:
    return files("cloudlet.edge.limits").joinpath(name).read_text(encoding="utf-8")


def _data(made: Plan, store: LimitStore | None, script: str) -> str:
    place = store or LimitStore("", 0)
    digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    sets = [line for stage in Stage for group in made.everyone for line in _set_lines(made, stage, group.number)]
    return "\n".join(
        [
            "return {",
            f"    host = {_string(place.host)}, port = {place.port},",
            f"    user = {_string(place.user)}, password = {_string(place.password)},",
            f"    script = {_string(SCRIPT)}, digest = {_string(digest)}, epoch = {EPOCH},",
            "    sets = {",
            *sets,
            "    },",
            "}",
            "",
        ]
    )


def _set_lines(made: Plan, stage: Stage, number: int) -> Iterable[str]:
    """slot, prefix of its key, and what the script wants to know of it."""
    slots = [*_stored(made.common.of(stage)), *(_stored(made.groups[number - 1].of(stage)) if number else ())]
    if not slots:
        return
    yield f"        [{_string(_set(stage, number))}] = {{"
    for slot in slots:
        p, q = slot.quota.pace
        count = slot.burst if slot.is_bucket else slot.holds
        numbers = ", ".join(_string(str(value)) for value in (slot.limit.algorithm, count, slot.quota.per, p, q))
        yield f"            {{ slot = {slot.number}, prefix = {_string(prefix(slot))}, {numbers} }},"
    yield "        },"


def prefix(slot: Slot) -> str:
    return slot.table.removeprefix("cloudlet-").replace("limit.", "limit:", 1) + ":"


def _set(stage: Stage, number: int) -> str:
    return f"{stage.value}-{number}"


def _stored(slots: Sequence[Slot]) -> list[Slot]:
    return [slot for slot in slots if slot.stored]


def _string(text: str) -> str:
    """A Lua string, whatever it holds."""
    return '"' + "".join(c if (c.isalnum() and c.isascii()) or c in "-_.: " else _escaped(c) for c in text) + '"'


def _escaped(character: str) -> str:
    return "".join(f"\\{byte:03d}" for byte in character.encode())
