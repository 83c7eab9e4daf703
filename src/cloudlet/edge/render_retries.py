"""Repeats of requests that may be repeated: how often, on which side of the door, and within which budget.

    retries-again.map   backend → how many requests the door was asked to repeat, since the start; counted by the rule
                        that asks
    retries-spent.map   backend → "90 of 400" while its budget is spent: repeats of requests in the last ten seconds.
                        Written by retries.lua, which looks at HAProxy's counters several times a second
    retries-lately.map  backend → Unix time in milliseconds at which the door was last asked to repeat

A request that came through the door with one server or none is repeated by its backend, and then by the door: when an
instance dies, HAProxy has idle connections to it of which it knows the end only a moment later, and a backend's few
repeats may all be wasted on these. So the two multiply for as long as HAProxy believes a server up that answers
nothing, and the budget ends both. Requests through the door pause for a moment (hold.lua) while that backend's were
repeated lately. What was never sent (no server, a refused connection) is no repeat and not counted.

Why Lua: HAProxy's rules cannot see a repeat, its counters can be read in Lua only, and it goes on while cloudlet is
dead. `policy/retry_budget.py` is its twin.
"""

from __future__ import annotations

from importlib.resources import files

from cloudlet.contracts.edge import Backend, EdgeConfiguration

AGAIN, SPENT, LATELY, LUA = "retries-again.map", "retries-spent.map", "retries-lately.map", "retries.lua"
#: milliseconds after a repeat in which the next request pauses
_LATELY = 50
#: by which a request is known that the door may repeat
BY_DOOR = "{ var(txn.again) -m found }"


def budgets(configuration: EdgeConfiguration) -> dict[str, float]:
    return {b.name: b.retry_budget for b in configuration.backends if _limited(b) and b.retry_budget is not None}


def retry_files(configuration: EdgeConfiguration) -> dict[str, str]:
    limits = budgets(configuration)
    if not limits:
        return {LATELY: ""}
    table = ", ".join(f'["{name}"] = {share:g}' for name, share in limits.items())
    body = files("cloudlet.edge").joinpath(LUA).read_text(encoding="utf-8")
    return {LATELY: "", AGAIN: "", SPENT: "", LUA: f"local BUDGETS = {{ {table} }}\n{body}"}


def retry_process(configuration: EdgeConfiguration) -> list[str]:
    """Lines of `global`."""
    return [f"lua-load {LUA}"] if budgets(configuration) else []


def mark_repeats(configuration: EdgeConfiguration) -> list[str]:
    """At the door: what it may be asked to repeat. A request that was held in vain has met no server."""
    never = [b.name for b in configuration.backends if b.mode == "http" and not b.retries]
    spent = f"!{{ var(txn.backend),map_str({SPENT}) -m found }}" if budgets(configuration) else ""
    conditions = [
        "{ var(txn.repeatable) -m found }",
        "!{ var(txn.wait) -m found }",
        "{ var(txn.backend),nbsrv le 1 }",
        f"!{{ var(txn.backend) -m str {' '.join(never)} }}" if never else "",
        spent,
    ]
    return [
        f"http-request set-var(txn.again) bool(true) if {' '.join(filter(None, conditions))}",
        f"http-request set-var(txn.lately) var(txn.backend),map_str_int({LATELY}) if {BY_DOOR}",
        f"http-request lua.pause if {{ var(txn.lately) -m found }} {{ date(0,ms),sub(txn.lately) lt {_LATELY} }}",
    ]


def count_again(configuration: EdgeConfiguration, condition: str) -> list[str]:
    lately = f"http-after-response set-map({LATELY}) %[var(txn.backend)] %[date(0,ms)] if {condition}"
    if not budgets(configuration):
        return [lately]
    more = f"%[var(txn.backend),map_str_int({AGAIN},0),add(1)]"
    return [lately, f"http-after-response set-map({AGAIN}) %[var(txn.backend)] {more} if {condition}"]


def door_lines(configuration: EdgeConfiguration) -> list[str]:
    """On this side of the door."""
    if not budgets(configuration):
        return []
    return [f"http-request disable-l7-retry if {{ var(txn.backend),map_str({SPENT}) -m found }}"]


def retry_lines(backend: Backend, repeatable: str) -> list[str]:
    """Of a backend. Not on a 5xx or a timeout: those are answers, and asking again would multiply the load that
    caused them."""
    if not backend.retries:
        return []
    spent = f"{{ str({backend.name}),map_str({SPENT}) -m found }}"
    return [
        "retry-on conn-failure empty-response junk-response",
        f"http-request disable-l7-retry unless {repeatable}",
        f"http-request disable-l7-retry if {spent}" if backend.retry_budget is not None else "",
    ]


def _limited(backend: Backend) -> bool:
    return backend.mode == "http" and bool(backend.retries)
