"""A Valkey of cloudlet's own for the tests of limits, started by its engine."""

from __future__ import annotations

from pathlib import Path

from valkey import Valkey

from cloudlet.contracts.limits import LimitStore
from cloudlet.contracts.paths import StatePaths
from cloudlet.engines.registry import build
from cloudlet.identity.secrets import Secrets
from tests.engines.conftest import free_port, wait_until
from tests.engines.supervisor import Running

_NAME, _SERVICE = "cloudlet-store", "cloudlet-edge"


class Store:
    """`start`, then `place` for the edge; `end` and `start` again for one that was away."""

    def __init__(self, folder: Path) -> None:
        self._paths = StatePaths(folder / "store")
        self._paths.create()
        self._secrets = Secrets(self._paths.secrets)
        self._engine = build("valkey", _NAME, free_port(), self._paths, self._secrets, None)
        self._running: Running | None = None

    async def start(self) -> Store:
        await self._engine.provision()
        self._running = Running(self._engine.process())
        await wait_until(self._engine.ready)
        await self._engine.admit(_SERVICE)
        return self

    def place(self) -> LimitStore:
        own = self._secrets.credential(_SERVICE, _NAME)
        return LimitStore("127.0.0.1", self._engine.port, own.user, own.password.reveal())

    def client(self) -> Valkey:
        own = self.place()
        return Valkey(host=own.host, port=own.port, username=own.user, password=own.password, decode_responses=True)

    def end(self) -> None:
        if self._running is not None:
            self._running.close()
