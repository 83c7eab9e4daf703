"""Rate limits that need no identity: global, client, endpoint, header. What all limits need stands here too: stick
tables, how these go over to the next process, Lua, and the maps of routes."""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.limits.answers import answers
from cloudlet.edge.limits.plan import Stage, maps, plan
from cloudlet.edge.limits.stage import rules
from cloudlet.edge.limits.store import LUA, lua_files, needs_lua
from cloudlet.edge.limits.tables import peers, process, tables
from cloudlet.edge.steps.fragment import NOTHING, Fragment


def fragment(configuration: EdgeConfiguration) -> Fragment:
    made = plan(configuration)
    if not made.slots:
        return NOTHING
    native = made.native()
    counted = [slot.number for slot in made.slots if not slot.stored]
    return Fragment(
        rules=tuple(rules(made, Stage.ADDRESSES)),
        answers=tuple(answers(made)),
        sections=(*peers(native), *tables(native)),
        process=(*process(native), *([f"lua-load-per-thread {LUA}"] if needs_lua(made) else [])),
        files=lua_files(made, configuration.limit_store),
        maps=maps(made),
        counters=max(counted) + 1 if counted else 0,
    )
