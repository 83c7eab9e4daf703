"""The rules of a request's life in FILE.md's fixed order; each step is one function here, called in that order.

Variables, for whoever adds a step: `txn.host` (lower case, no port), `txn.path` (as routes have it, see
stack.gateway.paths, so that `/%61dmin` and `//admin` are `/admin`), `txn.id`, `txn.backend` (a later step may set it).
The request itself is forwarded as it came. Ambiguous paths, and those with an encoded NUL, tab or end of line, are
refused rather than rewritten: HAProxy's own normaliser is still experimental in 2.8.

Every rule is paid by every request, 0.05 to 0.2 µs each: what most requests don't need stands behind one condition.
"""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.render_retries import BY_DOOR, count_again, mark_repeats
from cloudlet.edge.render_routes import FALLBACKS, LIMITS, WAITS

DOOR, DOOR_ONCE = "cloudlet-door", "cloudlet-door-once"
HOLD_TABLE = "cloudlet-holding"
#: what the door answers for a lost server, and what it says instead where a server of the user's answers just that
AGAIN, OTHERWISE = 425, 499
#: what may be sent twice (RFC 9110, 9.2.2), or says itself that it may
REPEATABLE = "{ method GET HEAD OPTIONS TRACE PUT DELETE } || { req.hdr(idempotency-key) -m found }"
_ID = "^[A-Za-z0-9._:-]{1,128}$"
_STRIP_ANSWER = "http-response del-header cloudlet- -m beg"
_HOST = "req.hdr(host),host_only,rtrim(.)"
#: decoded, slashes merged, and what a map's key can't hold encoded again (stack.gateway.paths.canonical)
_PATH = "path,url_dec,regsub(/+,/,g),regsub(%,%25,g),regsub(' ',%20,g)"


def sample_log(share: float, slow: float) -> list[str]:
    """Ordinary requests are silent except this share of them: HAProxy then does not even compose their line, which
    costs 2 µs. An answer of 5xx is always logged, and so is a refusal, what was refused before this rule, and an
    answer that did not begin within `slow` seconds (how long it then takes to read it is the client's affair).

    What went through the door is logged behind it."""
    if share >= 1:
        return []
    unless = f" unless {{ rand(1000000) lt {round(share * 1_000_000)} }}" if share > 0 else ""
    return [
        "# log a sample, and every error, refusal and slow answer",
        "http-request set-var(txn.begun) date(0,ms)",
        f"http-request set-log-level silent{unless}",
        f"http-after-response set-log-level err if {{ date(0,ms),sub(txn.begun) gt {round(slow * 1000)} }}"
        f" !{{ be_name -m beg {DOOR} }}",
        "http-after-response set-log-level err if { status ge 400 } { var(txn.refused) -m found }",
        "http-after-response set-log-level err if { status ge 500 } !{ var(txn.passed) -m found }",
    ]


def normalise() -> list[str]:
    """An ordinary path is taken as it is; any other is decoded, and refused where that is ambiguous."""
    ordinary = "unless { path -m sub % // /. } || { var(txn.host) -m sub / }"
    return [
        "# normalise",
        f"http-request set-var(txn.host) {_HOST}",
        f"http-request set-var(txn.path) path {ordinary}",
        "acl ambiguous path,url_dec -m sub /./ /../",
        "acl ambiguous path,url_dec -m end /. /..",
        "acl ambiguous path -i -m sub %00 %0a %0d %09",
        "acl ambiguous var(txn.host) -m sub /",
        "http-request deny deny_status 400 if !{ var(txn.path) -m found } ambiguous",
        f"http-request set-var(txn.path) {_PATH} unless {{ var(txn.path) -m found }}",
        "http-request deny deny_status 400 unless { var(txn.path) -m found }",
    ]


def strip() -> list[str]:
    """What only the edge may say. `Connection` may name further headers to drop behind it: only upgrades pass."""
    return [
        "# strip what a client may not set, and say it ourselves",
        "http-request del-header x-forwarded- -m beg",
        "http-request del-header cloudlet- -m beg",
        _STRIP_ANSWER,
        "http-request del-header proxy -m beg",
        *(f"http-request del-header {name}" for name in ("forwarded", "x-real-ip", "keep-alive")),
        "http-request del-header connection if { req.hdr(connection) -m found } !{ req.hdr(upgrade) -m found }",
        "http-request set-header connection upgrade if { req.hdr(upgrade) -m found }",
        *forwarded("add-header"),
    ]


def trust() -> list[str]:
    """An internal caller passes on what the edge told it; where it says nothing, it is the client."""
    return [
        "# a caller within the stack passes on what it was told",
        "http-request del-header cloudlet- -m beg",
        _STRIP_ANSWER,
        *forwarded("set-header", " unless {{ req.hdr({name}) -m found }}"),
    ]


def forwarded(action: str, condition: str = "") -> list[str]:
    values = {
        "x-forwarded-for": "%[src]",
        "x-forwarded-proto": "%[ssl_fc,iif(https,http)]",
        "x-forwarded-host": "%[req.hdr(host)]",
        "x-forwarded-port": "%[dst_port]",
    }
    return [f"http-request {action} {name} {value}{condition.format(name=name)}" for name, value in values.items()]


def identify() -> list[str]:
    return [
        "# request id: the caller's when it is one, else ours",
        "http-request set-var(txn.id) req.fhdr(x-request-id)",
        f"http-request set-var(txn.id) uuid() unless {{ var(txn.id) -m reg {_ID} }}",
        "http-request set-header x-request-id %[var(txn.id)]",
        "http-after-response set-header x-request-id %[var(txn.id)]",
    ]


def recognise(configuration: EdgeConfiguration) -> list[str]:
    """A request that has been through all of the above, here or in the process that this one succeeds."""
    return [
        "# it was normalised, stripped, identified and routed before",
        "http-request set-src req.hdr(cloudlet-client)",
        f"http-request set-var(txn.host) {_HOST}",
        "http-request set-var(txn.path) path,url_dec",
        "http-request set-var(txn.id) req.fhdr(x-request-id)",
        "http-request set-var(txn.backend) req.hdr(cloudlet-backend)",
        "http-request set-var(txn.route) req.hdr(cloudlet-route) if { req.hdr(cloudlet-route) -m found }",
        "http-request set-var(txn.deadline) req.hdr(cloudlet-deadline) if { req.hdr(cloudlet-deadline) -m found }",
        *_recognise_for_log(configuration),
        "http-request del-header cloudlet- -m beg",
    ]


def _recognise_for_log(configuration: EdgeConfiguration) -> list[str]:
    """What the line says beside that, where the file lets there be any."""
    sources = {
        "suspect": "cloudlet-suspect" if suspects(configuration) else "",
        "user": "x-forwarded-user" if any(r.design and r.design.require for r in configuration.routes) else "",
    }
    lines = [
        f"http-request set-var(txn.{name}) req.fhdr({header}) if {{ req.fhdr({header}) -m found }}"
        for name, header in sources.items()
        if header
    ]
    if configuration.gateway.trace:
        lines.append("http-request set-var(txn.trace) req.fhdr(traceparent),field(2,-)")
    return lines


def suspects(configuration: EdgeConfiguration) -> bool:
    """Whether any request is searched for attacks."""
    used = (configuration.gateway.protect, *(route.design.protect for route in configuration.routes if route.design))
    return any(protect is not None and protect.injections != "off" for protect in used)


def log_suspects(configuration: EdgeConfiguration) -> list[str]:
    """Behind `sample_log`, at the door."""
    found = "{ var(txn.suspect) -m found }"
    return [f"http-request set-log-level err if {found}"] if suspects(configuration) else []


def fall_back(configuration: EdgeConfiguration) -> list[str]:
    if not any(backend.fallback for backend in configuration.backends):
        return []
    table = f"map_str({FALLBACKS})"
    return [
        "# a backend without a usable server and with a fallback is answered by that",
        f"http-request set-var(txn.fallback) var(txn.backend),{table} if {{ var(txn.backend),nbsrv eq 0 }}",
        "http-request set-var(txn.backend) var(txn.fallback) if { var(txn.fallback) -m found }",
    ]


def balance() -> list[str]:
    """What goes on through the door, to ourselves, or to the process that succeeds this one.

    What has one server or none: there it is held, and tried again when the only server dies with it. What must not be
    repeated, and that by a connection of its own: when a server dies with a request, HAProxy answers 502 only to the
    first request of a connection. On any other it hangs up, and on HTTP/2 says REFUSED_STREAM, either of which makes
    browsers and gRPC send it again. And when this process ends, all that is not on its way yet.
    """
    return [
        "# balance; what has one server or none, or must not be repeated, goes on through our own door",
        f"use_backend {DOOR_ONCE} unless {REPEATABLE}",
        f"use_backend {DOOR} if {{ stopping }} || {{ var(txn.backend),nbsrv le 1 }}",
        "use_backend %[var(txn.backend)]",
    ]


def leave() -> list[str]:
    """Requests of a process that ends belong to its successor, which knows the servers and routes of now."""
    return [
        "# this process ends: to its successor",
        "http-request set-var(txn.door) bool(true) if { stopping }",
    ]


def hold() -> list[str]:
    """While no server is there. Nothing of the request was sent yet, so any method may wait. Held requests are
    counted by a table of this process; a predecessor's deadline goes on counting."""
    held = "if { var(txn.wait) -m int gt 0 }"
    return [
        "# hold while no server is there",
        f"http-request set-var(txn.wait) var(txn.backend),map_str_int({WAITS})"
        " if !{ var(txn.door) -m found } { var(txn.backend),nbsrv eq 0 }",
        f"http-request set-var(txn.wait_limit) var(txn.backend),map_str_int({LIMITS}) {held}",
        f"http-request track-sc2 var(txn.backend) table {HOLD_TABLE} {held}",
        "http-request return status 503 default-errorfiles"
        f" {held} {{ sc_conn_cur(2,{HOLD_TABLE}),sub(txn.wait_limit) gt 0 }}",
        f"http-request lua.hold {held}",
    ]


def answer(configuration: EdgeConfiguration) -> list[str]:
    """A request that was not held in vain and lost its last server: 425 makes the other side of the door send it
    once more, and then it is held. 503 means that it was never sent. After 502 it may have had its effect, so that
    goes for repeatable ones only; and there the server need not be known to be lost yet, for a burst of retries on
    its idle connections is over before that is.

    A server's own 425 would be taken for that: it passes the door under another status, which `restore` takes back.
    """
    unanswered = "!{ var(txn.answered) -m found } !{ var(txn.wait) -m found }"
    again = f"{{ status 502 }} {BY_DOOR} !{{ var(txn.answered) -m found }}"
    return [
        "# a server's own answer never looks like ours",
        "http-response set-var(txn.answered) bool(true)",
        _STRIP_ANSWER,
        f"http-response set-header cloudlet-status {AGAIN} if {{ status {AGAIN} }}",
        f"http-response set-status {OTHERWISE} if {{ status {AGAIN} }}",
        "# its last server went while it was there: once more, to be held",
        f"http-request set-var(txn.repeatable) bool(true) if {REPEATABLE}",
        *mark_repeats(configuration),
        f"http-after-response set-status {AGAIN} if {{ status 503 }} {unanswered} {{ var(txn.backend),nbsrv eq 0 }}",
        *count_again(configuration, again),
        f"http-after-response set-status {AGAIN} if {again}",
    ]


def restore() -> list[str]:
    """On this side of the door: what is still 425 after the last try was not answered by any server."""
    return [
        "http-response set-var(txn.passed) bool(true) if { status ge 500 }",
        f"http-response set-status 503 if {{ status {AGAIN} }}",
        f"http-response set-status {AGAIN} if {{ res.hdr(cloudlet-status) -m str {AGAIN} }}",
        _STRIP_ANSWER,
    ]


def balance_held() -> list[str]:
    return [
        "# balance",
        f"use_backend {DOOR_ONCE} if {{ var(txn.door) -m found }} !{{ var(txn.repeatable) -m found }}",
        f"use_backend {DOOR} if {{ var(txn.door) -m found }}",
        "use_backend %[var(txn.backend)]",
    ]
