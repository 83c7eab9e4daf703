"""The process and the defaults of every proxy: limits, timeouts, logging, error bodies."""

from __future__ import annotations

from collections.abc import Sequence

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.render_errors import error_lines
from cloudlet.edge.render_retries import retry_process
from cloudlet.edge.rendered import milliseconds, section
from cloudlet.edge.settings import EdgeSettings
from cloudlet.edge.steps.counters import FIRST_LIMIT
from cloudlet.edge.steps.fragment import Fragment

#: the name of the state of servers that a predecessor leaves; it counts once, at the start of its successor
SERVER_STATE = "servers.state"
HOLD = "hold.lua"
#: a request's own log line; times in milliseconds: waiting for a server, for the answer, altogether
_HTTP_LOG = (
    '{"request":"%[var(txn.id),json(utf8s)]","client":"%ci","frontend":"%f","backend":"%b","server":"%s",'
    '"method":"%HM","host":"%[var(txn.host),json(utf8s)]","path":"%[var(txn.path),json(utf8s)]",'
    '"route":"%[var(txn.route),json(utf8s)]","user":"%[var(txn.user),json(utf8s)]",'
    '"refused":"%[var(txn.refused),json(utf8s)]","suspect":"%[var(txn.suspect),json(utf8s)]",'
    '"trace":"%[var(txn.trace)]","status":%ST,"bytes_in":%U,"bytes_out":%B,"wait":%Tw,"response":%Tr,"total":%Ta,"retries":"%rc",'
    '"end":"%ts"}'
)
_TCP_LOG = (
    '{"client":"%ci","frontend":"%f","backend":"%b","server":"%s","bytes_in":%U,"bytes_out":%B,'
    '"wait":%Tw,"total":%Tt,"retries":"%rc","end":"%ts"}'
)


def global_sections(
    configuration: EdgeConfiguration, settings: EdgeSettings, steps: Sequence[Fragment] = ()
) -> list[str]:
    return [
        _global(configuration, settings, steps),
        _defaults(),
        _defaults_http(),
        _defaults_tcp(),
        _defaults_backend(),
    ]


def _global(configuration: EdgeConfiguration, settings: EdgeSettings, steps: Sequence[Fragment]) -> str:
    counters = FIRST_LIMIT + max((step.counters for step in steps), default=0)
    return section(
        "global",
        f"maxconn {settings.maxconn}",
        f"nbthread {configuration.threads}" if configuration.threads else "",
        f"hard-stop-after {milliseconds(settings.longest_drain)}",
        "stats socket $RUNTIME_SOCKET mode 600 level admin severity-output number",
        "stats timeout 30s",
        f"server-state-file {SERVER_STATE}",
        f"lua-load-per-thread {HOLD}",
        *retry_process(configuration),
        "ssl-default-bind-options ssl-min-ver TLSv1.2",
        "tune.ssl.default-dh-param 2048",
        f"tune.stick-counters {counters}" if counters > FIRST_LIMIT else "",
        *(line for step in steps for line in step.process),
    )


def _defaults() -> str:
    return section(
        "defaults common",
        "timeout connect 2s",
        "timeout client 60s",
        "timeout client-fin 10s",
        "timeout server-fin 10s",
        "timeout tunnel 1d",
        "timeout http-request 10s",
        "timeout http-keep-alive 30s",
        "log stdout format raw local0",
        "option log-separate-errors",
        "option dontlognull",
        *error_lines(),
    )


def _defaults_http() -> str:
    return section(
        "defaults http from common",
        "mode http",
        f"log-format '{_HTTP_LOG}'",
        "# a successor takes over without breaking a connection on which a request may be under way",
        "option idle-close-on-response",
        "# X_Forwarded_For and X-Forwarded-For are one variable to CGI and WSGI",
        "option http-restrict-req-hdr-names reject",
        "# a piece of a stream (server-sent events, gRPC) goes on at once; else the kernel waits 200 ms for more",
        "option http-no-delay",
    )


def _defaults_tcp() -> str:
    return section(
        "defaults tcp from common",
        "mode tcp",
        f"log-format '{_TCP_LOG}'",
        "# only errors reach the log (a sampled connection is raised to one)",
        "no log",
        "log stdout format raw local0 err",
    )


def _defaults_backend() -> str:
    return section(
        "defaults backends from common",
        "no log",
        "# a server's going down is told; its coming up too",
        "log stdout format raw local0 notice",
        "load-server-state-from-file global",
        "# the loss of a reused connection is retried, or is a 502 (render_request.take_care)",
        "http-reuse always",
        "option redispatch 1",
        "# who has gone need not be served",
        "option abortonclose",
    )
