"""The rules of a request's life in FILE.md's fixed order; each step is one function here, called in that order.

Variables, for whoever adds a step: `txn.host` (lower case, no port), `txn.path` (decoded, slashes merged; what routes
match, so that `/%61dmin` and `//admin` are `/admin`), `txn.id`, `txn.backend` (a later step may set it),
`txn.door` (set: goes on to
ourselves, or to the process that succeeds this one). The request itself is forwarded as it came. Ambiguous
paths are refused rather than rewritten: HAProxy's own normaliser is still experimental in 2.8.
"""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.render_routes import ANY_HOST, EXACT, FALLBACKS, LIMITS, PREFIX, WAITS
from cloudlet.edge.settings import EdgeSettings

DOOR, DOOR_ONCE = "cloudlet-door", "cloudlet-door-once"
HOLD_TABLE = "cloudlet-holding"
#: by which the door says that its 425 means a lost server, and no server of the user's said it
AGAIN = "cloudlet-again"
#: what may be sent twice (RFC 9110, 9.2.2), or says itself that it may
REPEATABLE = "{ method GET HEAD OPTIONS TRACE PUT DELETE } || { req.hdr(idempotency-key) -m found }"
_ID = "^[A-Za-z0-9._:-]{1,128}$"


def sample_log(share: float) -> list[str]:
    """Ordinary requests are silent except this share of them: HAProxy then does not even compose their line, which
    costs 2 µs. An answer of 5xx is always logged, and so is what was refused before this rule."""
    if share >= 1:
        return []
    unless = f" unless {{ rand(1000000) lt {round(share * 1_000_000)} }}" if share > 0 else ""
    return [
        "# log a sample, and every error",
        f"http-request set-log-level silent{unless}",
        "http-after-response set-log-level err if { status ge 500 }",
    ]


def normalise() -> list[str]:
    return [
        "# normalise",
        *describe(),
        "http-request deny deny_status 400 unless { var(txn.path) -m found }",
        "http-request deny deny_status 400 if { path -m sub %00 } || { req.hdr(host) -m sub / * }",
        "http-request deny deny_status 400 if { var(txn.path) -m sub /./ /../ } || { var(txn.path) -m end /. /.. }",
        "http-request set-var(txn.path) var(txn.path),regsub(/+,/,g) if { var(txn.path) -m sub // }",
    ]


def describe() -> list[str]:
    return [
        "http-request set-var(txn.host) req.hdr(host),host_only,rtrim(.)",
        "http-request set-var(txn.path) path,url_dec",
    ]


def strip() -> list[str]:
    """What only the edge may say. `Connection` may name further headers to drop behind it: only upgrades pass."""
    return [
        "# strip what a client may not set, and say it ourselves",
        "http-request del-header x-forwarded- -m beg",
        "http-request del-header cloudlet- -m beg",
        *(f"http-request del-header {name}" for name in ("forwarded", "x-real-ip", "proxy", "proxy-connection")),
        "http-request del-header keep-alive",
        "http-request del-header connection if { req.hdr(connection) -m found } !{ req.hdr(upgrade) -m found }",
        "http-request set-header connection upgrade if { req.hdr(upgrade) -m found }",
        *forwarded(""),
    ]


def trust() -> list[str]:
    """An internal caller passes on what the edge told it; where it says nothing, it is the client."""
    return [
        "# a caller within the stack passes on what it was told",
        "http-request del-header cloudlet- -m beg",
        *forwarded(" unless {{ req.hdr({name}) -m found }}"),
    ]


def forwarded(condition: str) -> list[str]:
    values = {
        "x-forwarded-for": "%[src]",
        "x-forwarded-proto": "%[ssl_fc,iif(https,http)]",
        "x-forwarded-host": "%[req.hdr(host)]",
        "x-forwarded-port": "%[dst_port]",
    }
    return [f"http-request set-header {name} {value}{condition.format(name=name)}" for name, value in values.items()]


def identify() -> list[str]:
    return [
        "# request id: the caller's when it is one, else ours",
        f"http-request set-var(txn.id) req.hdr(x-request-id) if {{ req.hdr(x-request-id) -m reg {_ID} }}",
        "http-request set-var(txn.id) uuid() unless { var(txn.id) -m found }",
        "http-request set-header x-request-id %[var(txn.id)]",
        "http-after-response set-header x-request-id %[var(txn.id)]",
    ]


def recognise() -> list[str]:
    """A request that has been through all of the above, here or in the process that this one succeeds."""
    return [
        "# it was normalised, stripped, identified and routed before",
        "http-request set-src req.hdr(cloudlet-client)",
        *describe(),
        "http-request set-var(txn.id) req.hdr(x-request-id)",
        "http-request set-var(txn.backend) req.hdr(cloudlet-backend)",
        "http-request set-var(txn.deadline) req.hdr(cloudlet-deadline) if { req.hdr(cloudlet-deadline) -m found }",
        "http-request del-header cloudlet- -m beg",
    ]


def route(settings: EdgeSettings) -> list[str]:
    """Host and exact path, host and longest prefix, then the same for routes of any host."""
    exact, prefix = settings.file(EXACT), settings.file(PREFIX)
    unknown = "unless { var(txn.backend) -m found }"
    return [
        "# route: the specific before the general",
        "http-request set-var-fmt(txn.route) %[var(txn.host)]%[var(txn.path)]",
        f"http-request set-var(txn.backend) var(txn.route),map_str({exact})",
        f"http-request set-var(txn.backend) var(txn.route),map_beg({prefix}) {unknown}",
        f"http-request set-var-fmt(txn.route) {ANY_HOST}%[var(txn.path)] {unknown}",
        f"http-request set-var(txn.backend) var(txn.route),map_str({exact}) {unknown}",
        f"http-request set-var(txn.backend) var(txn.route),map_beg({prefix}) {unknown}",
        f"http-request return status 404 default-errorfiles {unknown}",
    ]


def fall_back(configuration: EdgeConfiguration, settings: EdgeSettings) -> list[str]:
    if not any(backend.fallback for backend in configuration.backends):
        return []
    table = f"map_str({settings.file(FALLBACKS)})"
    return [
        "# a backend without a usable server and with a fallback is answered by that",
        f"http-request set-var(txn.fallback) var(txn.backend),{table} if {{ var(txn.backend),nbsrv eq 0 }}",
        "http-request set-var(txn.backend) var(txn.fallback) if { var(txn.fallback) -m found }",
    ]


def leave() -> list[str]:
    """Requests of a process that ends belong to its successor, which knows the servers and routes of now."""
    return [
        "# this process ends: to its successor",
        "http-request set-var(txn.door) bool(true) if { stopping }",
    ]


def take_care() -> list[str]:
    """What goes on through the door, to ourselves.

    What has one server or none: there it is held, and tried again when the only server dies with it. What must not be
    repeated, and that by a connection of its own: when a server dies with a request, HAProxy answers 502 only to the
    first request of a connection. On any other it hangs up, and on HTTP/2 says REFUSED_STREAM, either of which makes
    browsers and gRPC send it again.
    """
    return [
        "# what has one server or none, or must not be repeated, goes on through our own door",
        "http-request set-var(txn.door) bool(true) if { var(txn.backend),nbsrv le 1 }",
        f"http-request set-var(txn.once) bool(true) unless {REPEATABLE}",
    ]


def hold(settings: EdgeSettings) -> list[str]:
    """While no server is there. Nothing of the request was sent yet, so any method may wait. Held requests are
    counted by a table of this process; a predecessor's deadline goes on counting."""
    held = "if { var(txn.wait) -m int gt 0 }"
    return [
        "# hold while no server is there",
        f"http-request set-var(txn.wait) var(txn.backend),map_str_int({settings.file(WAITS)})"
        " if !{ var(txn.door) -m found } { var(txn.backend),nbsrv eq 0 }",
        f"http-request set-var(txn.wait_limit) var(txn.backend),map_str_int({settings.file(LIMITS)}) {held}",
        f"http-request track-sc2 var(txn.backend) table {HOLD_TABLE} {held}",
        "http-request return status 503 default-errorfiles"
        f" {held} {{ sc_conn_cur(2,{HOLD_TABLE}),sub(txn.wait_limit) gt 0 }}",
        f"http-request lua.hold {held}",
    ]


def try_again() -> list[str]:
    """A request that was not held and lost its last server meanwhile: 425 makes the other side of the door send it
    once more, and then it is held. 503 means that it was never sent. After 502 it may have had its effect, so that
    goes for repeatable ones only; and there the server need not be known to be lost yet, for a burst of retries on
    its idle connections is over before that is."""
    unanswered = "!{ var(txn.answered) -m found } !{ var(txn.wait) -m found }"
    never_sent = f"if {{ status 503 }} {unanswered} {{ var(txn.backend),nbsrv eq 0 }}"
    perhaps_sent = f"if {{ status 502 }} {unanswered} {{ var(txn.repeatable) -m found }}"
    return [
        "# its last server went while it was there: once more, to be held",
        f"http-request set-var(txn.repeatable) bool(true) if {REPEATABLE}",
        "http-response set-var(txn.answered) bool(true)",
        *(
            rule
            for lost in (never_sent, perhaps_sent)
            for rule in (
                f"http-after-response set-header {AGAIN} 1 {lost}",
                f"http-after-response set-status 425 {lost}",
            )
        ),
    ]


def balance() -> list[str]:
    return [
        "# balance",
        f"use_backend {DOOR_ONCE} if {{ var(txn.once) -m found }}",
        f"use_backend {DOOR} if {{ var(txn.door) -m found }}",
        "use_backend %[var(txn.backend)]",
    ]
