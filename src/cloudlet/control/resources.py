"""The databases and caches of the file as engines: built, found again, and what they give to a service."""

from __future__ import annotations

from collections.abc import Mapping

from cloudlet.contracts.engine import Address
from cloudlet.contracts.limits import LimitStore
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import HeldSocket, Process
from cloudlet.control.engines import EngineRun
from cloudlet.control.store import Store
from cloudlet.control.topology import LIMITS, STORE
from cloudlet.control.users import Users
from cloudlet.engines.locate import locate
from cloudlet.engines.registry import build
from cloudlet.identity.secrets import Secrets
from cloudlet.runtime.ports import free_port, is_free
from cloudlet.stack import Stack

#: as whom the edge comes to cloudlet's own store
EDGE_ACCOUNT = "cloudlet-edge"


class Resources:
    """Engines by their name in the file, the same object for as long as the file keeps that name."""

    def __init__(self, paths: StatePaths, store: Store, secrets: Secrets, users: Users) -> None:
        self._paths, self._store, self._secrets, self._users = paths, store, secrets, users
        self.runs: dict[str, EngineRun] = {}

    def require_binaries(self, stack: Stack) -> None:
        """Raises EngineMissing, before anything is changed, when an engine of the file has no binary."""
        for kind in ("haproxy", *(kind for kind, _ in _wanted(stack).values())):
            locate(kind).usable()

    def load(self, stack: Stack, processes: Mapping[str, Process]) -> None:
        """Construct what the file names and is not there yet; drop what it names no more. `processes` are the
        keeper's: an engine that does not run gets another port when somebody has taken its own."""
        wanted = _wanted(stack)
        for name, (kind, settings) in wanted.items():
            if name not in self.runs or self.runs[name].settings != settings:
                found = processes.get(f"{kind}-{name}")
                running = found is not None and found.exit is None
                self.runs[name] = self._construct(name, kind, settings, running=running)
        for name in set(self.runs) - set(wanted):
            del self.runs[name]

    def _construct(self, name: str, kind: str, settings: dict[str, int], *, running: bool) -> EngineRun:
        user = self._users.of(f"{kind}-{name}")
        port = self._port(f"engine-{name}", running=running)
        engine = build(kind, name, port, self._paths, self._secrets, user, None, **settings)
        return EngineRun(engine=engine, kind=kind, version=locate(kind).version, settings=settings)

    def _port(self, name: str, *, running: bool) -> int:
        ports = self._store.ports()
        if name not in ports or not (running or is_free(ports[name])):
            self._store.keep_port(name, free_port(set(ports.values())))
        return self._store.ports()[name]

    def ports(self) -> dict[str, int]:
        return {name: run.engine.port for name, run in self.runs.items()}

    def users(self, stack: Stack, resource: str) -> list[str]:
        """The services that use it; of cloudlet's own counts the edge."""
        edge = [EDGE_ACCOUNT] if resource == LIMITS else []
        return [name for name, service in stack.services.items() if resource in service.uses] + edge

    def limit_store(self) -> LimitStore | None:
        """Where the edge counts, when there is such a store."""
        run = self.runs.get(LIMITS)
        if run is None:
            return None
        own = self._secrets.credential(EDGE_ACCOUNT, LIMITS)
        return LimitStore("127.0.0.1", run.engine.port, own.user, own.password.reveal())

    def environment(self, service: str, used: str, listener: HeldSocket) -> dict[str, str] | None:
        """What `service` finds in its environment for a database or cache; None when `used` is none."""
        run = self.runs.get(used)
        return run.engine.environment(service, Address(listener.host, listener.port)) if run else None


def _wanted(stack: Stack) -> dict[str, tuple[str, dict[str, int]]]:
    """Kind and settings of each engine by its name in the file."""
    databases = {name: (item.engine, dict[str, int]()) for name, item in stack.databases.items()}
    caches = {name: (item.engine, {"memory": item.memory}) for name, item in stack.caches.items()}
    if STORE in caches:  # what it keeps, it keeps until it expires
        caches[STORE][1]["evict"] = 0
    return {**databases, **caches}
