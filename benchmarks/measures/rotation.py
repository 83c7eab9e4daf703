"""Which servers HAProxy gives requests to, asked of HAProxy itself."""

from __future__ import annotations

import socket
from pathlib import Path

from cloudlet.contracts.paths import StatePaths

_RUNNING = "2"


class Rotation:
    """`socket` is the runtime socket of the edge process in force."""

    def __init__(self, file: Path) -> None:
        folder = StatePaths.beside(file).run / "edge"
        numbered = {int(path.stem): path for path in folder.glob("*.sock") if path.stem.isdecimal()}
        if not numbered:
            raise FileNotFoundError(f"there is no runtime socket in {folder}")
        self._path = numbered[max(numbered)]

    def holds(self, backend: str, port: int) -> bool:
        """Whether the server at that port gets new requests."""
        lines = self._ask(f"show servers state {backend}").splitlines()
        head = next(line for line in lines if line.startswith("#")).removeprefix("#").split()
        for line in lines:
            row = dict(zip(head, line.split(), strict=False))
            if row.get("srv_port") == str(port):
                return row["srv_op_state"] == _RUNNING and row["srv_admin_state"] == "0"
        return False

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5.0)
            connection.connect(str(self._path))
            connection.sendall(command.encode() + b"\n")
            said = b""
            while more := connection.recv(65536):
                said += more
        return said.decode()
