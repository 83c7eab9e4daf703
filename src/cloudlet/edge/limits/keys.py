"""Who is counted: the last word of a counter's key, `ROUTE [WINDOW] WHO`.

ROUTE is the route's identifier, `*` for a limit of the whole gateway; each limit has a table of its own. So nothing
that a client may write reaches another limit's, route's or window's counters; and WHO has a letter before it that says
what it is, so that a user who is called like an address is not taken for it.

    a10.0.0.7, a2001:db8:1:2::   an address; IPv6 by its /64, which is what one client gets
    nNAME, hHASH                 a user or key by name; by SHA-256 where that is longer than 64 bytes
    hHASH                        a header's value, always hashed: it may be a credential, and of any length
    mMETHOD                      a method; one that HTTP does not define counts as OTHER, or inventing some would help
"""

from __future__ import annotations

from collections.abc import Iterable

from cloudlet.edge.limits.plan import ROUTES, Plan, Slot, Stage
from cloudlet.stack.gateway.limits import RateLimit

#: bytes of a key in a stick table: 12 + 1 + 20 + 1 + 65
LENGTH = 100
_ADDRESS = "%[src,ipmask(32,64)]"
_METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT QUERY"
_LONGEST = 64


def prepare(made: Plan, stage: Stage) -> list[str]:
    """What the keys of this stage are made from."""
    slots = [slot for slot in made.slots if stage.takes(slot.limit)]
    pers = {slot.limit.per for slot in slots}
    lines: list[str] = []
    if made.needs_routes and stage is made.first_stage:
        lines.append(f"http-request set-var(txn.limit_route) var(txn.route),map_str({ROUTES})")
    if "endpoint" in pers:
        lines += [
            f"http-request set-var(txn.limit_method) method if {{ method {_METHODS} }}",
            "http-request set-var(txn.limit_method) str(OTHER) unless { var(txn.limit_method) -m found }",
        ]
    for per in ("user", "key"):
        if per in pers:
            lines += _identity(per)
    return lines


def _identity(per: str) -> Iterable[str]:
    """Who shows nobody, where that is allowed, is counted by address."""
    made, shown = f"txn.limit_{per}", f"var(txn.{per})"
    yield f"http-request set-var-fmt({made}) a{_ADDRESS} unless {{ {shown} -m found }}"
    yield f"http-request set-var-fmt({made}) n%[{shown}] if {{ {shown},length le {_LONGEST} }}"
    yield f"http-request set-var-fmt({made}) h%[{shown},sha2(256),hex] if {{ {shown},length gt {_LONGEST} }}"


def who(limit: RateLimit) -> str:
    """In HAProxy's log format."""
    if limit.per.startswith("header:"):
        return f"h%[req.fhdr({limit.per.removeprefix('header:')}),sha2(256),hex]"
    return {
        "global": "g",
        "client": f"a{_ADDRESS}",
        "endpoint": "m%[var(txn.limit_method)]",
        "user": "%[var(txn.limit_user)]",
        "key": "%[var(txn.limit_key)]",
    }[limit.per]


def key(slot: Slot, window: str = "") -> str:
    """The whole key as a quoted word."""
    route = "*" if slot.common and slot.limit.per != "endpoint" else "%[var(txn.limit_route)]"
    return f'"{" ".join(part for part in (route, window, who(slot.limit)) if part)}"'
