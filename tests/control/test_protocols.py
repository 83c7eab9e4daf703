"""TCP, UDP, TLS, service to service and workers, from one line of the file each, through a whole stack."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import urllib.request

import pytest

from tests.support.live_stack import LiveStack, until

STACK = """
name: protocols
domain: protocols.localhost
services:
  front:
    command: {python} app.py
    health: {{path: /}}
    uses: [back, lines]
  back:
    command: {python} app.py
    instances: 2
    health: {{path: /}}
    balance: round-robin
  lines:
    command: {python} lines.py
    protocol: tcp
    instances: 2
    balance: round-robin
  names:
    command: {python} names.py
    protocol: udp
    instances: 3
  worker:
    command: {python} -c "import time; time.sleep(3600)"
    protocol: none
    instances: 2
gateway:
  listen: {{http: 0, https: 0}}
  routes: [{{path: /*, to: front}}, {{host: back.protocols.localhost, path: /*, to: back}}]
edge:
  listeners:
    lines: {{tcp: 0, to: lines}}
    names: {{udp: 0, to: names}}
"""

LINES = """
import os, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(os.environ["CLOUDLET_INSTANCE"].encode() + b" " + line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

NAMES = """
import os, socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", int(os.environ["PORT"])))
while True:
    data, client = server.recvfrom(2048)
    server.sendto(os.environ["CLOUDLET_INSTANCE"].encode() + b" " + data, client)
"""


@pytest.fixture(scope="module")
def stack():
    live = LiveStack(STACK.format(python=sys.executable))
    (live.folder / "lines.py").write_text(LINES)
    (live.folder / "names.py").write_text(NAMES)
    with live:
        live.up()
        yield live


def place(stack: LiveStack, name: str) -> tuple[str, int]:
    host, _, port = stack.address(name).rpartition("//")[2].partition(":")
    return host, int(port)


def test_tcp_connections_are_spread_over_the_instances(stack):
    """A TCP listener balances connections and passes bytes as they are."""
    seen = set()
    for _ in range(4):
        with socket.create_connection(place(stack, "listener lines (tcp)"), timeout=5) as connection:
            connection.sendall(b"hello\n")
            name, _, text = connection.makefile().readline().partition(" ")
            assert text == "hello\n"
            seen.add(name)
    assert seen == {"lines-1", "lines-2"}


def ask_by_datagram(address: tuple[str, int], client: socket.socket) -> str:
    client.settimeout(0.2)
    for _ in range(50):
        client.sendto(b"who", address)
        try:
            return client.recv(2048).decode().split()[0]
        except TimeoutError:
            continue
    raise AssertionError("no answer to 50 datagrams")


def test_udp_clients_keep_their_instance_and_are_spread(stack):
    """A UDP listener hashes clients: one always meets the same instance, many meet all; a dead one's clients move."""
    address = place(stack, "listener names (udp)")
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(40)]
    try:
        first = [ask_by_datagram(address, client) for client in clients]
        assert set(first) == {"names-1", "names-2", "names-3"}
        assert [ask_by_datagram(address, client) for client in clients] == first
        stack.cloudlet("scale", "names=2")
        until(lambda: len(stack.instances("names")) == 2, "the third to leave")
        after = [ask_by_datagram(address, client) for client in clients]
        assert {name for name, was in zip(after, first, strict=True) if was == "names-3"} <= {"names-1", "names-2"}
        assert all(now == was for now, was in zip(after, first, strict=True) if was != "names-3")
    finally:
        for client in clients:
            client.close()


def test_tls_by_the_development_authority(stack):
    """https answers with a certificate for the stack's domain that the authority's certificate verifies."""
    host, port = place(stack, "gateway https")
    context = ssl.create_default_context(cafile=str(stack.paths.edge / "authority" / "ca.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((host, port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="protocols.localhost") as connection,
    ):
        assert connection.selected_alpn_protocol() == "h2"
        assert ("DNS", "*.protocols.localhost") in connection.getpeercert()["subjectAltName"]


def test_the_keys_of_the_authority_are_private(stack):
    """Nobody else may read what could speak for the stack."""
    assert (stack.paths.edge / "authority" / "ca-key.pem").stat().st_mode & 0o777 == 0o600


def environment(stack: LiveStack, instance: str, service: str) -> dict[str, str]:
    with open(f"/proc/{stack.instances(service)[instance]['pid']}/environ") as file:
        return dict(pair.split("=", 1) for pair in file.read().split("\0") if pair)


def test_an_instance_finds_what_it_uses_at_stable_addresses(stack):
    """A used service's address is the edge's internal listener: balanced, and the same when instances are replaced."""
    found = environment(stack, "front-1", "front")
    assert found["CLOUDLET_STACK"] == "protocols"
    assert found["LINES_URL"].startswith("tcp://127.0.0.1:")
    names = {urllib.request.urlopen(found["BACK_URL"] + "/x", timeout=5).read() for _ in range(4)}
    assert names == {b"back-1", b"back-2"}
    pids = {i["pid"] for i in stack.instances("back").values()}
    stack.cloudlet("restart", "back")
    until(lambda: not pids & {i["pid"] for i in stack.serving("back").values()}, "fresh instances")
    assert urllib.request.urlopen(found["BACK_URL"] + "/x", timeout=5).status == 200


def test_routes_by_host(stack):
    """The route that names the host wins over the one for any."""
    host, port = place(stack, "gateway http")
    request = urllib.request.Request(f"http://{host}:{port}/", headers={"Host": "back.protocols.localhost"})
    assert urllib.request.urlopen(request, timeout=5).read().startswith(b"back-")
    assert urllib.request.urlopen(f"http://{host}:{port}/", timeout=5).read() == b"front-1"


def test_workers_run_without_a_port_check(stack):
    """`protocol: none` is up when its process is."""
    assert set(stack.serving("worker")) == {"worker-1", "worker-2"}


def test_metrics_are_told_in_prometheus_names(stack):
    """The control API exposes each instance's counters."""
    done = stack.cloudlet("status", "--output", "json")
    assert json.loads(done.stdout)["state"] == "healthy"
