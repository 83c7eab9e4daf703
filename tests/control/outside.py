"""Run in a network namespace of its own (`unshare --net`): another machine beyond a cable, the rules of egress, and
what each user gets through. Prints what happened as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from cloudlet.contracts.paths import StatePaths
from cloudlet.control.enforcement import Enforcement

HERE, THERE, THERE_6 = "198.51.100.1", "198.51.100.2", "2001:db8::2"
ROOT, SERVICE, OTHER_SERVICE, PROXY = 0, 61_184, 61_185, 61_186
#: seconds for a packet that is dropped, not refused
PATIENCE = 1.0


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def another_machine() -> Iterator[None]:
    """A namespace with a TCP and a UDP echo on port 8000, and a UDP echo on port 53."""
    server = f"""
import socket, threading
def serve(sock):
    while True:
        data, whom = sock.recvfrom(100)
        sock.sendto(data, whom)
for port in (8000, 53):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("{THERE}", port))
    threading.Thread(target=serve, args=(udp,), daemon=True).start()
tcp = socket.socket(socket.AF_INET6); tcp.bind(("::", 8000)); tcp.listen()
print("ready", flush=True)
while True:
    tcp.accept()[0].close()
"""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", 'echo; read line; exec "$@"', "-", sys.executable, "-c", server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout and holder.stdin
        holder.stdout.readline()
        inside = ("nsenter", "--net", "--target", str(holder.pid))
        run("ip", "link", "add", "name", "cable0", "type", "veth", "peer", "name", "cable1", "netns", str(holder.pid))
        for prefix, link, v4, v6 in (((), "cable0", HERE, "2001:db8::1"), (inside, "cable1", THERE, THERE_6)):
            run(*prefix, "ip", "link", "set", "dev", "lo", "up")
            run(*prefix, "ip", "address", "add", f"{v4}/24", "dev", link)
            run(*prefix, "ip", "-6", "address", "add", f"{v6}/64", "dev", link, "nodad")
            run(*prefix, "ip", "link", "set", "dev", link, "up")
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"ready\n"
        yield
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()


def attempt(family: int, kind: int, to: tuple[str, int]) -> str:
    with socket.socket(family, kind) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect(to)
            if kind == socket.SOCK_DGRAM:
                client.send(b"hello")
                client.recv(100)
        except TimeoutError:
            return "silence"
        except OSError as error:
            return os.strerror(error.errno or 0)
    return "through"


def as_user(uid: int, local: int) -> dict[str, str]:
    """What this user reaches, tried in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        if uid:
            os.setgid(uid)
            os.setuid(uid)
        found = {
            "tcp": attempt(socket.AF_INET, socket.SOCK_STREAM, (THERE, 8000)),
            "tcp6": attempt(socket.AF_INET6, socket.SOCK_STREAM, (THERE_6, 8000)),
            "udp": attempt(socket.AF_INET, socket.SOCK_DGRAM, (THERE, 8000)),
            "dns": attempt(socket.AF_INET, socket.SOCK_DGRAM, (THERE, 53)),
            "local dns": attempt(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 53)),
            "local": attempt(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", local)),
        }
        os.write(write, json.dumps(found).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        found = json.loads(said.read())
    os.waitpid(child, 0)
    return dict(found)


def echo(server: socket.socket) -> None:
    while True:
        data, whom = server.recvfrom(100)
        server.sendto(data, whom)


def main() -> None:
    run("ip", "link", "set", "dev", "lo", "up")
    local, resolver = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    resolver.bind(("127.0.0.1", 53))
    threading.Thread(target=echo, args=(resolver,), daemon=True).start()
    port = local.getsockname()[1]
    found: dict[str, object] = {}
    enforcement = Enforcement(StatePaths(Path("/nowhere/.cloudlet")))
    with another_machine():
        while attempt(socket.AF_INET6, socket.SOCK_STREAM, (THERE_6, 8000)) != "through":
            pass  # until the neighbours know each other
        found["before"] = as_user(SERVICE, port)
        enforcement.apply("store", [SERVICE])
        enforcement.apply("shop", [SERVICE, OTHER_SERVICE])  # with a new name and more users: replaced, not doubled
        found["closed"] = enforcement.tables()
        for name, uid in (("service", SERVICE), ("other", OTHER_SERVICE), ("proxy", PROXY), ("root", ROOT)):
            found[name] = as_user(uid, port)
        Enforcement(StatePaths(Path("/elsewhere/.cloudlet"))).remove()  # another stack of the same name
        found["still"] = enforcement.tables()
        enforcement.apply("shop", [OTHER_SERVICE])
        found["left"] = as_user(SERVICE, port)
        enforcement.remove()
        enforcement.remove()
        found["after"] = as_user(OTHER_SERVICE, port)
        found["tables"] = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
    print(json.dumps(found))


if __name__ == "__main__":
    main()
