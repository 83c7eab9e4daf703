"""The servers HAProxy really has, and configurations with a server more or less. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloudlet.contracts.edge import Backend, EdgeConfiguration, Server
from cloudlet.edge.generation import Record
from cloudlet.edge.internal import is_internal
from cloudlet.errors import EngineFailed

#: management.txt, 9.3: one line for each server, with its place, weight and administrative state
COMMAND = "show servers state"
_FORCED_MAINTENANCE, _FORCED_DRAIN = 0x01, 0x08


@dataclass(frozen=True, slots=True)
class LiveServer:
    backend: str
    server: Server
    maintenance: bool
    draining: bool


@dataclass(frozen=True, slots=True)
class Live:
    """What HAProxy answered."""

    servers: tuple[LiveServer, ...]

    def present(self) -> frozenset[tuple[str, str]]:
        return frozenset((item.backend, item.server.name) for item in self.servers)

    def record(self, known: Record) -> Record:
        """The known record with the servers that HAProxy really has. A server in maintenance was on its way out;
        it gets a place nobody has, so that it is taken out and, if it is wanted, put in again."""
        backends = tuple(
            replace(backend, servers=tuple(_seen(item) for item in self.servers if item.backend == backend.name))
            for backend in known.configuration.backends
        )
        draining = {(i.backend, i.server.name) for i in self.servers if i.draining and not i.maintenance}
        draining |= known.draining & self.present()
        return replace(
            known,
            configuration=replace(known.configuration, backends=backends),
            draining=frozenset(draining),
        )


def _seen(item: LiveServer) -> Server:
    return replace(item.server, port=0) if item.maintenance else item.server


def parse(answer: str) -> Live:
    """Raises EngineFailed for what is no table of servers."""
    lines = [line for line in answer.splitlines() if line and line != "1"]
    if not lines or not lines[0].startswith("# "):
        raise EngineFailed(f"haproxy answered `{COMMAND}` with {answer[:80]!r}, which is no table")
    columns = lines[0].removeprefix("# ").split()
    rows = (dict(zip(columns, line.split(), strict=False)) for line in lines[1:])
    return Live(tuple(_server(row) for row in rows if not is_internal(row["be_name"])))


def _server(row: dict[str, str]) -> LiveServer:
    state = int(row["srv_admin_state"])
    server = Server(
        name=row["srv_name"],
        ordinal=int(row["srv_id"]),
        address=row["srv_addr"],
        port=int(row["srv_port"]),
        weight=int(row["srv_uweight"]),
    )
    maintenance, draining = bool(state & _FORCED_MAINTENANCE), bool(state & _FORCED_DRAIN)
    return LiveServer(row["be_name"], server, maintenance, draining)


def with_server(configuration: EdgeConfiguration, backend: str, name: str, server: Server | None) -> EdgeConfiguration:
    """The configuration in which the backend has this server under that name, or none."""

    def changed(item: Backend) -> Backend:
        if item.name != backend:
            return item
        others = tuple(other for other in item.servers if other.name != name)
        present = [place for place, other in enumerate(item.servers) if other.name == name]
        place = present[0] if present else len(others)
        added = (server,) if server is not None else ()
        return replace(item, servers=(*others[:place], *added, *others[place:]))

    return replace(configuration, backends=tuple(changed(item) for item in configuration.backends))


def with_draining(configuration: EdgeConfiguration, record: Record) -> EdgeConfiguration:
    """The configuration with those servers of the record that drain, where their backend stays."""
    for backend in record.configuration.backends:
        for server in backend.servers:
            if (backend.name, server.name) in record.draining and not _names(configuration, backend.name, server):
                configuration = with_server(configuration, backend.name, server.name, server)
    return configuration


def _names(configuration: EdgeConfiguration, backend: str, server: Server) -> bool:
    return any(
        other.name == server.name for item in configuration.backends if item.name == backend for other in item.servers
    )
