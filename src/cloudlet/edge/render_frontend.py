"""Who listens: the gateway, whose requests follow the routes; internal and TCP listeners, each for one backend; and
the door, by which we pass requests on to ourselves, or to the process that succeeds this one. The rules of internal
listeners are the same for all of them and stand in defaults of their own; each listener says only its backend."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cloudlet.contracts.edge import EdgeConfiguration, Listener
from cloudlet.edge import render_request as request
from cloudlet.edge.rendered import milliseconds, quoted, section
from cloudlet.edge.steps.fragment import Fragment
from cloudlet.edge.steps.timeouts import longest_answer

#: seconds a client may keep silent in the middle of something, when no backend allows more
_CLIENT_SILENCE = 60.0


def frontend_sections(configuration: EdgeConfiguration, steps: Sequence[Fragment]) -> list[str]:
    http = [item for item in configuration.listeners if item.mode == "http"]
    routed = [item for item in http if item.backend is None]
    internal = [item for item in http if item.backend is not None and item.internal]
    return [
        *([_gateway(routed, configuration, steps)] if routed else []),
        *(_public(item, configuration) for item in http if item.backend is not None and not item.internal),
        *([_defaults_internal(configuration)] if internal else []),
        *map(_internal, internal),
        *(_tcp(item, configuration) for item in configuration.listeners if item.mode == "tcp"),
        _door(configuration),
    ]


def _gateway(listeners: Sequence[Listener], configuration: EdgeConfiguration, steps: Sequence[Fragment]) -> str:
    return section(
        "frontend gateway from http",
        *map(_bind, listeners),
        _patience(configuration),
        *request.normalise(),
        *request.strip(),
        *request.identify(),
        *request.sample_log(configuration.log_sample, configuration.log_slow),
        *(line for step in steps for line in step.rules),
        *request.fall_back(configuration),
        *(line for step in reversed(steps) for line in step.answers),
        *request.balance(),
    )


def _public(listener: Listener, configuration: EdgeConfiguration) -> str:
    return section(
        f"frontend {proxy_name(listener.socket)} from http",
        _bind(listener),
        _patience(configuration),
        *request.normalise(),
        *request.strip(),
        *request.identify(),
        *request.sample_log(configuration.log_sample, configuration.log_slow),
        f"http-request set-var(txn.backend) str({listener.backend})",
        *request.fall_back(configuration),
        *request.balance(),
    )


def _defaults_internal(configuration: EdgeConfiguration) -> str:
    return section(
        "defaults internal from http",
        _patience(configuration),
        *request.normalise(),
        *request.trust(),
        *request.identify(),
        *request.sample_log(configuration.log_sample, configuration.log_slow),
        "http-request set-var(txn.backend) var(sess.backend)",
        *request.fall_back(configuration),
    )


def _internal(listener: Listener) -> str:
    return section(
        f"frontend {proxy_name(listener.socket)} from internal",
        _bind(listener),
        f"tcp-request session set-var(sess.backend) str({listener.backend})",
        *request.balance(),
    )


def _door(configuration: EdgeConfiguration) -> str:
    return section(
        f"frontend {request.DOOR} from http",
        "bind unix@$DOOR mode 600",
        _patience(configuration),
        *request.recognise(configuration),
        *request.sample_log(configuration.log_sample, configuration.log_slow),
        *request.log_suspects(configuration),
        *request.fall_back(configuration),
        *request.leave(),
        *request.hold(),
        *request.answer(configuration),
        "# gRPC's answers without a body say so, or HTTP/1 on the way back would give them an empty one",
        "http-after-response set-header content-length 0 if { res.hdr(grpc-status) -m found }",
        *request.balance_held(),
    )


def _patience(configuration: EdgeConfiguration) -> str:
    longest = max((b.timeout for b in configuration.backends if b.mode == "http"), default=0.0)
    return f"timeout client {milliseconds(max(_CLIENT_SILENCE, longest, longest_answer(configuration)))}"


def _tcp(listener: Listener, configuration: EdgeConfiguration) -> str:
    backend = next(item for item in configuration.backends if item.name == listener.backend)
    share = round(configuration.log_sample * 1_000_000)
    return section(
        f"frontend {proxy_name(listener.socket)} from tcp",
        _bind(listener),
        f"timeout client {milliseconds(backend.timeout)}",
        f"tcp-request content set-log-level err if {{ rand(1000000) lt {share} }}" if share else "",
        f"use_backend {backend.fallback} if {{ nbsrv({backend.name}) eq 0 }}" if backend.fallback else "",
        f"default_backend {backend.name}",
    )


def _bind(listener: Listener) -> str:
    tls = f" ssl crt {quoted(str(listener.certificates))}/ alpn h2,http/1.1" if listener.certificates else ""
    if listener.client_authorities:
        # a bad certificate is refused by the routes that require a good one, not by the handshake for all of them
        tls += f" verify optional ca-file {quoted(str(listener.client_authorities))}"
        tls += " ca-ignore-err all crt-ignore-err all"
    return f"bind fd@{listener.descriptor}{tls}"


def proxy_name(socket: str) -> str:
    """A socket's name in the letters HAProxy allows."""
    return re.sub(r"[^A-Za-z0-9_.:-]", "-", socket)
