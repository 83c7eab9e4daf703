"""Valkey: one server for each cache of the file.

    data/valkey-RESOURCE/   valkey.conf, users.acl (hashes of passwords), services
        data/               its log file of writes

*Durable enough for sessions:* it writes an append-only file and syncs it every second, so a death of the
process loses nothing in the usual case (two seconds while a sync drags on) and a power cut the last second. A
lock that must hold through that belongs into a database. *When full* it evicts what was used least lately,
whether or not it expires: right for a cache, and sessions in use stay; locks that must not go want a cache of
their own with room.

users.acl is cloudlet's: rendered, put in place and loaded, rather than changed over the connection and saved,
so that what is on the disk is never behind what is in force.
"""

from __future__ import annotations

import hashlib
import os
from urllib.parse import quote

from valkey.asyncio import Valkey
from valkey.exceptions import AuthenticationError, NoPermissionError, ValkeyError

from cloudlet.contracts.engine import Address, Binary
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import ProcessSpec, User
from cloudlet.contracts.secret import ADMINISTRATOR, Credential, Credentials
from cloudlet.engines import template
from cloudlet.engines.folder import EngineFolder
from cloudlet.engines.roster import Roster
from cloudlet.errors import EngineFailed

_CONFIGURATION, _USERS = "valkey.conf", "users.acl"
#: every key and channel, but nothing that governs the server or empties it; what clients ask for on
#: connecting and sorting is given back
_RIGHTS_OF_SERVICE = "~* &* +@all -@admin -@dangerous +info +sort +sort_ro"
_RIGHTS_OF_ADMINISTRATOR = "~* &* +@all"


class ValkeyEngine:
    """One Valkey (or Redis) server; `memory` is what it may hold, in bytes, `evict` 0 refuses writes beyond it."""

    def __init__(
        self,
        resource: str,
        port: int,
        paths: StatePaths,
        secrets: Credentials,
        user: User | None,
        binary: Binary,
        memory: int = 64_000_000,
        evict: int = 1,
    ) -> None:
        self.name = f"valkey-{resource}"
        self.resource = resource
        self.port = port
        self._secrets, self._user, self._binary, self._memory = secrets, user, binary, memory
        self._policy = "allkeys-lru" if evict else "noeviction"
        self._folder = EngineFolder(paths.data(self.name), user)
        self._roster = Roster(self._folder)
        self._log = paths.log(self.name)

    async def provision(self) -> None:
        self._binary.usable()
        self._folder.make()
        data = self._folder.make_child("data")
        self._write_users()
        settings = template.render(
            "valkey.conf",
            port=self.port,
            data=template.quoted(data),
            users=template.quoted(self._folder.path / _USERS),
            memory=self._memory,
            policy=self._policy,
        )
        self._folder.write(_CONFIGURATION, settings)

    def _write_users(self) -> None:
        services = (self._secrets.credential(name, self.resource) for name in self._roster.names())
        lines = [
            "user default off resetpass -@all",
            _account(self._administrator(), _RIGHTS_OF_ADMINISTRATOR),
            *(_account(service, _RIGHTS_OF_SERVICE) for service in services),
        ]
        self._folder.write(_USERS, "".join(f"{line}\n" for line in lines))

    def process(self) -> ProcessSpec:
        folder = self._folder.path
        return ProcessSpec(
            name=self.name,
            argv=(str(self._binary.usable()), str(folder / _CONFIGURATION)),
            directory=folder,
            environment={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
            log=self._log,
            user=self._user,
        )

    async def ready(self) -> bool:
        try:
            async with self._connect() as client:
                return bool(await client.ping())
        except (AuthenticationError, NoPermissionError) as error:
            raise EngineFailed(
                f"{self.name} on port {self.port} refuses cloudlet's own password: {error}; "
                "another server may have the port"
            ) from error
        except (ValkeyError, OSError):
            return False

    async def admit(self, service: str) -> None:
        self._roster.add(service)
        self._write_users()
        try:
            async with self._connect() as client:
                await client.execute_command("ACL LOAD")  # type: ignore[no-untyped-call]
        except (ValkeyError, OSError) as error:
            raise EngineFailed(f"{self.name} did not admit {service}: {error}") from error

    def environment(self, service: str, address: Address) -> dict[str, str]:
        own = self._secrets.credential(service, self.resource)
        login = f"{quote(own.user, safe='')}:{quote(own.password.reveal(), safe='')}"
        url = f"redis://{login}@{address.host}:{address.port}/0"
        return {f"{template.variable(self.resource)}_URL": url}

    def _administrator(self) -> Credential:
        return self._secrets.credential(ADMINISTRATOR, self.resource)

    def _connect(self) -> Valkey:
        own = self._administrator()
        return Valkey(
            host="127.0.0.1",
            port=self.port,
            username=own.user,
            password=own.password.reveal(),
            socket_timeout=5,
            socket_connect_timeout=5,
        )


def _account(credential: Credential, rights: str) -> str:
    """A line of users.acl; the password is random, so that its plain hash cannot be guessed back."""
    digest = hashlib.sha256(credential.password.reveal().encode()).hexdigest()
    return f"user {credential.user} reset on #{digest} {rights}"
