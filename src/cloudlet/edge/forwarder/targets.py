"""The targets of a forwarder, from its file.

    {"targets": [{"name": "dns-1", "host": "127.0.0.1", "port": 5301}, …]}

Whoever writes the file writes a new one and renames it over the old, then sends SIGHUP.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cloudlet.errors import OperatorError
from cloudlet.policy.balance.ring import HashRing, position_of

#: points of each target on the ring: its share of the clients is true to some 5 %
_POINTS = 400


@dataclass(frozen=True, slots=True)
class Target:
    """Where datagrams go. Its place in hashing is its name's, so a restart under a new port moves nobody
    else."""

    name: str
    host: str
    port: int


class Targets:
    """A set of targets that never changes; a new file makes a new one."""

    def __init__(self, targets: tuple[Target, ...] = ()) -> None:
        self.all = targets
        self._ring = HashRing([(target.name, _POINTS) for target in targets])

    def __contains__(self, target: Target) -> bool:
        return target in self.all

    def of(self, client: str) -> Target | None:
        """The target of a client, None when there is no target at all."""
        if not self.all:
            return None
        return self.all[self._ring.owner(position_of(client.encode()))]


def read_targets(file: Path) -> Targets:
    """Raises OperatorError when the file cannot be read or does not hold targets."""
    try:
        entries = json.loads(file.read_bytes())["targets"]
        targets = tuple(Target(str(e["name"]), str(ip_address(e["host"])), int(e["port"])) for e in entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            f'{file} holds no targets ({type(error).__name__}: {error}); write {{"targets": '
            '[{"name": …, "host": an IP address, "port": …}]}'
        ) from error
    if len({target.name for target in targets}) < len(targets):
        raise OperatorError(f"{file} names a target twice; give each a name of its own")
    for target in targets:
        if not 0 < target.port < 65536:
            raise OperatorError(f"{file}: port {target.port} of {target.name} is not between 1 and 65535")
    return Targets(targets)
