"""A stack of tiny instances, and asking it through its gateway."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common import waiting
from common.cloudlet import Cloudlet
from common.folder import filled, temporary

_INSTANCES = Path(__file__).parents[1] / "instances"
_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: seconds an answer may take
_PATIENCE = 5.0
SERVICE = "tiny"


@dataclass(frozen=True, slots=True)
class Stack:
    cloudlet: Cloudlet
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def scale(self, count: int) -> None:
        self.cloudlet.command("scale", f"{SERVICE}={count}")

    def wait_serving(self, count: int) -> None:
        """Exactly so many instances, all of them serving."""

        def settled() -> bool:
            phases = [item["phase"] for item in self.cloudlet.instances(SERVICE)]
            return phases == ["serving"] * count

        waiting.until(settled, f"{count} instances of {SERVICE} serving", within=60.0, every=0.2)


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered, and when it had begun to listen (time.monotonic())."""

    instance: str
    pid: int
    ready: float


@contextmanager
def stack(instances: int) -> Iterator[Stack]:
    """Runs in a folder of its own until the block ends."""
    with temporary("lifecycle") as folder:
        port, file = waiting.free_port(), folder / "cloudlet.yaml"
        program = folder / "tiny.py"
        program.write_bytes((_INSTANCES / "tiny.py").read_bytes())
        values = {
            "PYTHON": sys.executable,
            "TINY": str(program),
            "INSTANCES": str(instances),
            "LISTEN": str(port),
        }
        file.write_text(filled(_INSTANCES / "cloudlet.yaml", values), encoding="utf-8")
        cloudlet = Cloudlet(file)
        try:
            cloudlet.up()
            yield Stack(cloudlet, port)
        finally:
            cloudlet.down()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)


def ask(connection: socket.socket) -> Answer:
    """One request on a kept connection. Raises OSError when it failed in any way."""
    connection.sendall(_REQUEST)
    data = b""
    while not data.endswith(b"\n") or b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            raise ConnectionResetError("the gateway closed the connection before its answer was whole")
        data += more
    if not data.startswith(b"HTTP/1.1 200 "):
        raise OSError(f"the gateway answered {data[:80]!r}")
    name, pid, ready = data.rpartition(b"\r\n\r\n")[2].split()
    return Answer(name.decode(), int(pid), float(ready))
