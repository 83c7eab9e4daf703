"""What a configuration depends on besides what was asked for: the machine, and where this generation has its files."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

#: connections at once at most, whatever the file limit: more would only reserve memory (HAProxy keeps a table)
_MOST_CONNECTIONS = 50_000
#: descriptors that are no connections: listeners, pipes, logs, the runtime socket, its clients
_RESERVED_FILES = 200


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """`socket` is this generation's runtime socket; `door` is one Unix socket for all generations: who connects
    reaches the newest. Times in seconds."""

    socket: Path
    door: Path
    maxconn: int
    #: after which a process that was succeeded cuts what is left (WebSockets mostly)
    longest_drain: float = 3600.0

    def environment(self) -> dict[str, str]:
        """The sockets as haproxy.cfg names them: a folder's name may hold what its syntax takes for its own."""
        return {
            "RUNTIME_SOCKET": str(self.socket),
            "DOOR": str(self.door),
            "PEERS": str(self.door.with_name(self.door.name.replace("door", "peers"))),
        }


def file_limit() -> int:
    """The descriptors a process may have here: the hard limit, as HAProxy raises its own soft one to it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard if hard != resource.RLIM_INFINITY else 1_048_576


def connections_for(files: int) -> int:
    """How many connections that many descriptors serve: each needs one to the client and one to the server, and
    checks and idle connections to servers take a part (a maxconn above what is possible stops HAProxy's start)."""
    return max(50, min(_MOST_CONNECTIONS, (files - _RESERVED_FILES) * 9 // 20))
