"""A backend: how requests are spread over its servers, how those are checked, queued for and retried.

Stickiness is not HAProxy's `cookie`, because a server added at run time can't have one: the cookie holds the server's
name and `use-server` finds it, also after a restart of the instance or of the edge.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cloudlet.contracts.edge import Algorithm, Backend, Balance, Check
from cloudlet.contracts.gateway import GATEWAY_SERVICE
from cloudlet.edge.render_breaker import breaker_lines, breaker_table
from cloudlet.edge.render_request import REPEATABLE
from cloudlet.edge.render_retries import retry_lines
from cloudlet.edge.render_server import server_line
from cloudlet.edge.rendered import milliseconds, section
from cloudlet.errors import InternalError

_BALANCE = {
    Algorithm.ROUND_ROBIN: "roundrobin",
    Algorithm.WEIGHTED_ROUND_ROBIN: "roundrobin",
    Algorithm.LEAST_CONNECTIONS: "leastconn",
    Algorithm.WEIGHTED_LEAST_CONNECTIONS: "leastconn",
    Algorithm.RANDOM: "random(2)",
    # by weights that the control loop sets from what it measures
    Algorithm.LEAST_RESPONSE_TIME: "roundrobin",
    Algorithm.RESOURCE_BASED: "roundrobin",
}
_KEYS = {"header": "req.hdr", "cookie": "req.cook", "query": "url_param"}


#: (backend, server) pairs that get no new traffic but are still there
Draining = Collection[tuple[str, str]]


def backend_section(backend: Backend, draining: Draining = (), rules: Sequence[str] = ()) -> str:
    """`rules` are the gateway's for every backend that serves HTTP."""
    return section(
        f"backend {backend.name} from backends",
        f"mode {backend.mode}",
        *balance_lines(backend.balance),
        f"timeout server {milliseconds(backend.timeout)}",
        f"timeout queue {milliseconds(backend.wait)}",
        f"retries {backend.retries}",
        *((*_http_lines(backend), *rules) if backend.mode == "http" else ()),
        *(_check_lines(backend.check) if backend.check is not None else ()),
        *(server_line(backend, server, draining=(backend.name, server.name) in draining) for server in backend.servers),
    )


def balance_lines(balance: Balance) -> list[str]:
    if balance.algorithm not in (Algorithm.IP_HASH, Algorithm.CONSISTENT_HASH):
        return [f"balance {_BALANCE[balance.algorithm]}"]
    lines = [f"balance hash {hash_key(balance)}", "hash-type consistent"]
    if balance.bounded is not None:
        lines.append(f"hash-balance-factor {round(balance.bounded * 100)}")
    return lines


def hash_key(balance: Balance) -> str:
    if balance.algorithm is Algorithm.IP_HASH:
        return "src"
    if balance.key == "path":
        return "path"
    kind, _, name = (balance.key or "").partition(":")
    if kind not in _KEYS or not name:
        raise InternalError(f"a consistent hash needs header:NAME, cookie:NAME, query:NAME or path, not {balance.key}")
    return f"{_KEYS[kind]}({name})"


def _http_lines(backend: Backend) -> list[str]:
    return [
        *breaker_table(backend),
        *_route_lines(backend),
        *retry_lines(backend, REPEATABLE),
        *_queue_lines(backend),
        *breaker_lines(backend),
        *_sticky_lines(backend.sticky_cookie),
    ]


def _route_lines(backend: Backend) -> list[str]:
    """cloudlet's gateway service is told which route was taken; whatever else was said of it is stripped by then."""
    if backend.name != GATEWAY_SERVICE:
        return []
    return [
        "http-request set-header cloudlet-route %[var(txn.route)] if { var(txn.route) -m found }",
        "# why it refused a request, for the log; the header is stripped like all that begin so",
        "http-response set-var(txn.refused) res.hdr(cloudlet-refused) if { res.hdr(cloudlet-refused) -m found }",
    ]


def _queue_lines(backend: Backend) -> list[str]:
    if not backend.concurrency:
        return []
    full = f"{{ queue ge {backend.wait_at_most} }} {{ be_conn_free le 0 }}"
    return [f"http-request return status 503 default-errorfiles if {full}"]


def _sticky_lines(cookie: str | None) -> list[str]:
    if cookie is None:
        return []
    value = f"{cookie}=%[srv_name]; Path=/; HttpOnly; SameSite=Lax"
    https = "{ var(txn.scheme) -m str https }"
    other = "!{ srv_name,strcmp(txn.sticky) eq 0 }"
    return [
        f"http-request set-var(txn.sticky) req.cook({cookie})",
        "http-request set-var(txn.scheme) req.hdr(x-forwarded-proto)",
        "use-server %[var(txn.sticky)] if { var(txn.sticky) -m found }",
        f'http-response add-header set-cookie "{value}" if !{https} {other}',
        f'http-response add-header set-cookie "{value}; Secure" if {https} {other}',
        f"http-response add-header cache-control private if {other}",
    ]


def _check_lines(check: Check) -> list[str]:
    lines = [f"timeout check {milliseconds(check.timeout)}"]
    if check.path is None:
        return lines
    statuses = ",".join(f"{low}-{high}" if low != high else f"{low}" for low, high in check.expect)
    headers = "hdr host localhost hdr user-agent cloudlet-check hdr connection close"
    return [
        *lines,
        "option httpchk",
        f"http-check send meth GET uri {check.path} ver HTTP/1.1 {headers}",
        f"http-check expect status {statuses}",
    ]
