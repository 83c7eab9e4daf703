"""A whole stack on real engines in a folder of its own, driven through the command line as a user would."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from cloudlet.contracts.paths import StatePaths

CLOUDLET = Path(sys.executable).with_name("cloudlet")
APP = Path(__file__).with_name("app.py")
#: seconds within which whatever is waited for has long happened, also on a busy machine
PATIENCE = 60.0


class LiveStack:
    """Use as a context manager: everything it started has ended afterwards."""

    def __init__(self, text: str) -> None:
        # a folder that users without privileges may pass through, unlike pytest's
        self.folder = Path(tempfile.mkdtemp(prefix="cloudlet-test-"))
        self.folder.chmod(0o755)
        self.file = self.folder / "cloudlet.yaml"
        self.paths = StatePaths.beside(self.file)
        (self.folder / "app.py").write_text(APP.read_text())
        self.write(text)

    def __enter__(self) -> LiveStack:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            for log in sorted(self.paths.logs.glob("*.log")):
                print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:]))
        self.cloudlet("down", check=False)
        self._end_the_rest()
        subprocess.run(["rm", "-rf", str(self.folder), str(self.paths.run)], check=True)

    def _end_the_rest(self) -> None:
        """What a failed test may have left, found by its folder in the command line."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(self.folder) in line and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def cloudlet(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(CLOUDLET), "-f", str(self.file), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
        )
        assert not check or done.returncode == 0, f"cloudlet {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def up(self, *more: str) -> None:
        self.cloudlet("up", "-d", "--wait", *more)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request to the control API."""
        connection = http.client.HTTPConnection("cloudlet", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.paths.control_socket))
        try:
            connection.request("GET" if body is None else "POST", path, json.dumps(body) if body is not None else None)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def status(self) -> Any:
        return self.ask("/v1/status")

    def instances(self, service: str) -> dict[str, Any]:
        """Instances of a service by name."""
        found = next(s for s in self.status()["services"] if s["name"] == service)
        return {instance["name"]: instance for instance in found["instances"]}

    def serving(self, service: str) -> dict[str, Any]:
        return {name: i for name, i in self.instances(service).items() if i["phase"] == "serving"}

    def engine(self, name: str) -> Any:
        return next(engine for engine in self.status()["engines"] if engine["name"] == name)

    def address(self, name: str = "gateway http") -> str:
        return str(next(a["url"] for a in self.status()["addresses"] if a["name"] == name))

    def processes(self) -> dict[str, int]:
        """Process ids of all that runs, by name, but not of cloudlet itself."""
        status = self.status()
        found = {i["name"]: i["pid"] for s in status["services"] for i in s["instances"]}
        return found | {engine["name"]: engine["pid"] for engine in status["engines"]}

    @property
    def daemon(self) -> int:
        return int(self.status()["pid"])

    @property
    def keeper(self) -> int:
        return _peer(self.paths.keeper_socket)

    def events(self, event: str) -> list[Any]:
        return [entry for entry in self.ask("/v1/events") if entry["event"] == event]


def _peer(path: Path) -> int:
    """The process that listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[:4], sys.byteorder)


def until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """What `holds` gives as soon as it is true; an AssertionError naming `what` after the patience."""
    deadline = time.monotonic() + patience
    while True:
        try:
            found = holds()
        except (OSError, http.client.HTTPException, json.JSONDecodeError, StopIteration, KeyError):
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {patience:g} s in vain for {what}"
        time.sleep(0.005)
