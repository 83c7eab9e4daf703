"""Each route's requests, errors and concurrency, for metrics, A/B tests and the bulkhead.

    cloudlet-routes     label → requests, errors as gpc(0) 4xx and gpc(1) 5xx, those under way, requests/s
    cloudlet-variants   label, space, service → the same, of routes over several services

Errors are counted by the answer that the client gets, whoever gave it. That costs 0.3 to 0.6 µs of HAProxy's CPU for
each request (medians and minima of 9 and 21 interleaved runs, one thread), so all routes are counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.rendered import section
from cloudlet.edge.steps.counters import ROUTE, VARIANT
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.groups import Group, groups
from cloudlet.edge.steps.refusal import refuse
from cloudlet.stack.fields import Model

ROUTES, VARIANTS = "cloudlet-routes", "cloudlet-variants"
_DATA = "http_req_cnt,gpc(2),conn_cur,http_req_rate(1s)"
#: entries at most, taken from memory as they come; those of routes that are gone stay until the process is succeeded
_SIZE = 100_000
#: bytes of a key at least
_LENGTH = 256


class _Bulkhead(Model):
    at_once: int


def fragment(configuration: EdgeConfiguration) -> Fragment:
    if not configuration.routes:
        return NOTHING
    variants = [f"{route.label} {name}" for route in configuration.routes for name, _ in route.targets]
    counters = [ROUTE, *([VARIANT] if variants else [])]
    bulkheads = groups(configuration, "bulkhead", _bulkhead)
    return Fragment(
        rules=(
            "# count",
            f"http-request track-sc{ROUTE} var(txn.route) table {ROUTES}",
            *(_variant() if variants else ()),
            *(line for group in bulkheads for line in _full(group)),
        ),
        answers=tuple(line for counter in counters for line in _errors(counter)),
        sections=(
            _table(ROUTES, [route.label for route in configuration.routes]),
            *([_table(VARIANTS, variants)] if variants else []),
        ),
    )


def _variant() -> list[str]:
    chosen = "{ var(txn.variant) -m found }"
    return [
        f"http-request set-var-fmt(txn.counted) '%[var(txn.route)] %[var(txn.variant)]' if {chosen}",
        f"http-request track-sc{VARIANT} var(txn.counted) table {VARIANTS} if {chosen}",
    ]


def _errors(counter: int) -> list[str]:
    return [
        f"http-after-response sc-inc-gpc(0,{counter}) if {{ status 400:499 }}",
        f"http-after-response sc-inc-gpc(1,{counter}) if {{ status ge 500 }}",
    ]


def _table(name: str, keys: Iterable[str]) -> str:
    """Its keys' length grows by doubling, so that a route more is no new process."""
    length = _doubled(_LENGTH, max(len(key.encode(errors="surrogateescape")) for key in keys) + 1)
    return section(f"backend {name} from common", f"stick-table type string len {length} size {_SIZE} store {_DATA}")


def _doubled(start: int, least: int) -> int:
    while start < least:
        start *= 2
    return start


def _bulkhead(route: Route) -> _Bulkhead | None:
    concurrency = route.design.concurrency if route.design else None
    return _Bulkhead(at_once=concurrency) if concurrency is not None else None


def _full(group: Group[_Bulkhead]) -> list[str]:
    """The request itself is counted already."""
    most = group.setting.at_once
    detail = f"the route has {most} requests under way, and takes no more at once; try again"
    over = f"{group.gate}{{ sc_conn_cur({ROUTE},{ROUTES}) gt {most} }}"
    return [*group.lines, *refuse(503, "concurrency", detail, over, headers=(("retry-after", "1"),))]
