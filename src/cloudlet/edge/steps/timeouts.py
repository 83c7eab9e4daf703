"""Time limits of routes: how long a service may take to answer, and how long a WebSocket may be silent.

    timeouts-answer.map   route → milliseconds until the answer begins, else 504
    timeouts-idle.map     route → milliseconds of silence of an upgraded connection

HAProxy takes such a limit in a backend only; there the route is looked up, on whichever side of the door. What the
route does not say, its service's own `timeout` does.
"""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.steps.fragment import NOTHING, Fragment

ANSWER, IDLE = "timeouts-answer.map", "timeouts-idle.map"
#: what HAProxy calls them
_NAMES = {ANSWER: "server", IDLE: "tunnel"}


def fragment(configuration: EdgeConfiguration) -> Fragment:
    maps = _maps(configuration)
    return Fragment(maps=maps) if maps else NOTHING


def timeout_lines(configuration: EdgeConfiguration) -> tuple[str, ...]:
    """The rules of each backend that serves HTTP."""
    return tuple(
        f"http-request set-timeout {_NAMES[name]} var(txn.route),map_str_int({name})"
        f" if {{ var(txn.route),map_str_int({name}) -m found }}"
        for name in _maps(configuration)
    )


def longest_answer(configuration: EdgeConfiguration) -> float:
    """Seconds; 0 when no route says."""
    limits = (route.design.timeout for route in configuration.routes if route.design)
    return max((limit.answer for limit in limits if limit and limit.answer), default=0.0)


def _maps(configuration: EdgeConfiguration) -> dict[str, dict[str, str]]:
    maps: dict[str, dict[str, str]] = {ANSWER: {}, IDLE: {}}
    for route in configuration.routes:
        limit = route.design.timeout if route.design else None
        for name, seconds in ((ANSWER, limit.answer), (IDLE, limit.idle)) if limit else ():
            at_gateway = name == ANSWER and route.design is not None and route.design.needs_gateway
            if seconds is not None and not at_gateway:  # there it is kept, and a fallback has its time after it
                maps[name][route.label] = str(round(seconds * 1000))
    return {name: entries for name, entries in maps.items() if entries}
