"""Addresses that the stack answers on, and the certificates it answers with."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path as FilePath

from cloudlet.stack import nodes
from cloudlet.stack.edge import opened
from cloudlet.stack.files import is_file, is_there
from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule
from cloudlet.stack.stack import Stack

_CHAIN = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"


def clashes(design: Design) -> Iterator[Finding]:
    """Two listeners of one transport on one port, where their addresses overlap."""
    seen: list[tuple[str, str, int, Path]] = []
    for transport, address, port, path in _addresses(design.stack):
        for other_transport, other_address, other_port, other_path in seen:
            same = port == other_port and transport == other_transport
            if same and _overlap(address, other_address):
                message = f"{dotted(path)}: port {port} is already that of {dotted(other_path)}"
                yield Finding(path, message, "choose another port, or 0 for any free one")
                break
        if port:
            seen.append((transport, address, port, path))


def one_transport(design: Design) -> Iterator[Finding]:
    for name, listener in design.stack.edge.listeners.items():
        given = [port for port in (listener.tcp, listener.udp) if port is not None]
        if len(given) != 1:
            path: Path = ("edge", "listeners", name)
            has = "both `tcp` and `udp`" if given else "neither `tcp` nor `udp`"
            fix = "split it into two listeners" if given else "add `tcp: PORT` or `udp: PORT`"
            yield Finding(path, f"{dotted(path)} has {has}", fix, key=True)


def gateway_listens(design: Design) -> Iterator[Finding]:
    gateway = design.stack.gateway
    if gateway is not None and gateway.listen.http is None and gateway.listen.https is None:
        path: Path = ("gateway", "listen")
        yield Finding(path, f"{dotted(path)}: http and https are both off", "give one of them a port", key=True)


def certificates_used(design: Design) -> Iterator[Finding]:
    gateway = design.stack.gateway
    unfit = gateway is None and nodes.find(design.tree, ("gateway",)) is not None
    if unfit or not design.stack.edge.certificates:
        return
    if gateway is None or gateway.listen.https is None:
        path: Path = ("edge", "certificates")
        yield Finding(
            path,
            f"{dotted(path)} have no effect: nothing listens for https",
            "set gateway.listen.https",
            key=True,
        )


def certificates_readable(design: Design) -> Iterator[Finding]:
    """The files are there and hold PEM; whether key and chain match, the edge says."""
    given = enumerate(design.stack.edge.certificates)
    for index, pair in ((index, pair) for index, each in given for pair in opened(each)):
        path: Path = ("edge", "certificates", index)
        files = [(path, pair.certificate, [_CHAIN] if pair.key else [_CHAIN, _KEY])]
        if pair.key is not None:
            files.append(((*path, "key"), pair.key, [_KEY]))
        for place, file, wanted in files:
            problem = _pem_problem(file, wanted)
            if problem:
                yield Finding(place, f'{dotted(place)}: "{file}" {problem}', "name a file in PEM format")


def client_authorities(design: Design) -> Iterator[Finding]:
    """They are asked for in a TLS handshake, and their file is there."""
    file = design.stack.edge.client_certificates
    if file is None:
        return
    path: Path = ("edge", "client_certificates")
    gateway = design.stack.gateway
    if gateway is not None and gateway.listen.https is None:
        yield Finding(path, f"{dotted(path)} has no effect: nothing listens for https", "set gateway.listen.https")
    problem = _pem_problem(file, [_CHAIN])
    if problem:
        yield Finding(path, f'{dotted(path)}: "{file}" {problem}', "name a file in PEM format")


def _addresses(stack: Stack) -> Iterator[tuple[str, str, int, Path]]:
    """Transport, address, port and path of each; a port of 0 clashes with nothing."""
    if stack.gateway is not None:
        listen = stack.gateway.listen
        for scheme, port in (("http", listen.http), ("https", listen.https)):
            if port:
                yield "tcp", listen.address, port, ("gateway", "listen", scheme)
    for name, listener in stack.edge.listeners.items():
        for transport, port in (("tcp", listener.tcp), ("udp", listener.udp)):
            if port:
                yield transport, listener.address, port, ("edge", "listeners", name, transport)


def _overlap(one: str, other: str) -> bool:
    wild = ipaddress.ip_address(one).is_unspecified or ipaddress.ip_address(other).is_unspecified
    return wild or one == other


def _pem_problem(file: FilePath, wanted: list[bytes]) -> str:
    try:
        if not is_file(file):
            return "is no file" if is_there(file) else "is not there"
        content = file.read_bytes()
    except OSError as error:
        return f"cannot be read: {os.strerror(error.errno or 0).lower()}"
    for mark in wanted:
        if mark not in content:
            return "holds no private key" if mark is _KEY else "holds no certificate"
    return ""


RULES: tuple[Rule, ...] = (
    clashes,
    one_transport,
    gateway_listens,
    certificates_used,
    certificates_readable,
    client_authorities,
)
