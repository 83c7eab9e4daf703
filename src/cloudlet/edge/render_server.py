"""A server's settings: the words after its name and address are the same in the file and in `add server`.

`id` is the ordinal: consistent hashing places a server by it, so that neither a restart nor an addition moves the keys
of the others. Cookies are not set here, because `add server` does not know them (render_backend.py).
"""

from __future__ import annotations

from cloudlet.contracts.edge import Backend, Check, Server
from cloudlet.edge.rendered import milliseconds


def server_line(backend: Backend, server: Server, *, draining: bool) -> str:
    weighted = Server(server.name, server.ordinal, server.address, server.port, 0) if draining else server
    return f"server {server.name} {address(server)} {server_arguments(backend, weighted)}"


def address(server: Server) -> str:
    return f"{server.address}:{server.port}"


def server_arguments(backend: Backend, server: Server) -> str:
    words = [f"id {server.ordinal}", f"weight {server.weight}"]
    if backend.concurrency:
        words.append(f"maxconn {backend.concurrency}")
    if backend.mode == "http":
        # shorter than the 5 s after which common servers close an idle connection
        words.append("pool-purge-delay 2s")
    if backend.http2:
        words.append("proto h2")
    if backend.check is not None:
        words += check_arguments(backend.check, http2=backend.http2 and backend.check.path is not None)
    if backend.slow_start:
        words.append(f"slowstart {milliseconds(backend.slow_start)}")
    return " ".join(words)


def check_arguments(check: Check, *, http2: bool) -> list[str]:
    words = ["check", f"inter {milliseconds(check.interval)}", f"rise {check.rise}", f"fall {check.fall}"]
    return [*words, "check-proto h2"] if http2 else words
