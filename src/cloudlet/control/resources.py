"""The databases and caches of the file as engines: built, found again, and what they give to a service."""

from __future__ import annotations

from cloudlet.contracts.engine import Address
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import HeldSocket
from cloudlet.control.engines import EngineRun
from cloudlet.control.store import Store
from cloudlet.control.users import Users
from cloudlet.engines.locate import locate
from cloudlet.engines.registry import build
from cloudlet.identity.secrets import Secrets
from cloudlet.runtime.ports import free_port
from cloudlet.stack import Stack


class Resources:
    """Engines by their name in the file, the same object for as long as the file keeps that name."""

    def __init__(self, paths: StatePaths, store: Store, secrets: Secrets, users: Users) -> None:
        self._paths, self._store, self._secrets, self._users = paths, store, secrets, users
        self.runs: dict[str, EngineRun] = {}

    def require_binaries(self, stack: Stack) -> None:
        """Raises EngineMissing, before anything is changed, when an engine of the file has no binary."""
        for kind, _ in _wanted(stack).values():
            locate(kind).usable()

    def load(self, stack: Stack) -> None:
        """Construct what the file names and is not there yet; drop what it names no more."""
        wanted = _wanted(stack)
        for name, (kind, settings) in wanted.items():
            if name not in self.runs or self.runs[name].settings != settings:
                self.runs[name] = self._construct(name, kind, settings)
        for name in set(self.runs) - set(wanted):
            del self.runs[name]

    def _construct(self, name: str, kind: str, settings: dict[str, int]) -> EngineRun:
        user = self._users.of(f"{kind}-{name}")
        port = self._port(f"engine-{name}")
        engine = build(kind, name, port, self._paths, self._secrets, user, None, **settings)
        return EngineRun(engine=engine, kind=kind, version=locate(kind).version, settings=settings)

    def _port(self, name: str) -> int:
        ports = self._store.ports()
        if name not in ports:
            self._store.keep_port(name, free_port(set(ports.values())))
        return self._store.ports()[name]

    def ports(self) -> dict[str, int]:
        return {name: run.engine.port for name, run in self.runs.items()}

    def users(self, stack: Stack, resource: str) -> list[str]:
        """The services that use it."""
        return [name for name, service in stack.services.items() if resource in service.uses]

    def environment(self, service: str, used: str, listener: HeldSocket) -> dict[str, str] | None:
        """What `service` finds in its environment for a database or cache; None when `used` is none."""
        run = self.runs.get(used)
        return run.engine.environment(service, Address(listener.host, listener.port)) if run else None


def _wanted(stack: Stack) -> dict[str, tuple[str, dict[str, int]]]:
    """Kind and settings of each engine by its name in the file."""
    databases = {name: (item.engine, dict[str, int]()) for name, item in stack.databases.items()}
    caches = {name: (item.engine, {"memory": item.memory}) for name, item in stack.caches.items()}
    return {**databases, **caches}
