"""NATS with JetStream: event logs with replay.

    data/nats-RESOURCE/   nats.conf (passwords), services
        jetstream/        its streams

Passwords lie in nats.conf in clear, in a file that only the engine's user can read: NATS knows hashes only as
bcrypt, which the standard library does not make, and 192 random bits gain nothing from a slow hash. Accounts
changed at run time come into force when an administrator of the system account asks the server to read its
file again, which leaves connections alone.
"""

from __future__ import annotations

import os
from urllib.parse import quote

from cloudlet.contracts.engine import Address, Binary
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import ProcessSpec, User
from cloudlet.contracts.secret import ADMINISTRATOR, Credential, Credentials
from cloudlet.engines import template
from cloudlet.engines.folder import EngineFolder
from cloudlet.engines.nats_connection import NatsConnection, NatsRefused
from cloudlet.engines.roster import Roster
from cloudlet.errors import EngineFailed

_CONFIGURATION = "nats.conf"
#: who may have the configuration read again, and nothing else: in the account of NATS itself
_GOVERNOR = f"{ADMINISTRATOR}_system"


class NatsEngine:
    """One NATS server; its services share one account, each under a user of its own."""

    def __init__(
        self,
        resource: str,
        port: int,
        paths: StatePaths,
        secrets: Credentials,
        user: User | None,
        binary: Binary,
    ) -> None:
        self.name = f"nats-{resource}"
        self.resource = resource
        self.port = port
        self._secrets, self._user, self._binary = secrets, user, binary
        self._folder = EngineFolder(paths.data(self.name), user)
        self._roster = Roster(self._folder)
        self._log = paths.log(self.name)

    async def provision(self) -> None:
        self._binary.usable()
        self._folder.make()
        self._folder.make_child("jetstream")
        self._configure()

    def _configure(self) -> None:
        users = (self._credential(name) for name in (ADMINISTRATOR, *self._roster.names()))
        settings = template.render(
            "nats.conf",
            name=template.quoted(self.name),
            port=self.port,
            data=template.quoted(self._folder.path / "jetstream"),
            users="\n".join(f"      {_account(user)}" for user in users),
            system=_account(self._credential(_GOVERNOR)),
        )
        self._folder.write(_CONFIGURATION, settings)

    def process(self) -> ProcessSpec:
        folder = self._folder.path
        return ProcessSpec(
            name=self.name,
            argv=(str(self._binary.usable()), "--config", str(folder / _CONFIGURATION)),
            directory=folder,
            environment={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
            log=self._log,
            user=self._user,
        )

    async def ready(self) -> bool:
        try:
            async with await self._connect(ADMINISTRATOR) as connection:
                await connection.request("$JS.API.INFO")
        except NatsRefused as error:
            raise EngineFailed(f"{self.name} on port {self.port} refuses cloudlet: {error}") from error
        except (OSError, TimeoutError, EOFError):
            return False
        return True

    async def admit(self, service: str) -> None:
        self._roster.add(service)
        self._configure()
        try:
            async with await self._connect(_GOVERNOR) as connection:
                await connection.request(f"$SYS.REQ.SERVER.{connection.server['server_id']}.RELOAD")
        except (NatsRefused, OSError, TimeoutError, EOFError) as error:
            raise EngineFailed(f"{self.name} did not admit {service}: {error}") from error

    def environment(self, service: str, address: Address) -> dict[str, str]:
        own = self._credential(service)
        login = f"{quote(own.user, safe='')}:{quote(own.password.reveal(), safe='')}"
        return {f"{template.variable(self.resource)}_URL": f"nats://{login}@{address.host}:{address.port}"}

    def _credential(self, name: str) -> Credential:
        return self._secrets.credential(name, self.resource)

    async def _connect(self, name: str) -> NatsConnection:
        return await NatsConnection.open("127.0.0.1", self.port, self._credential(name))


def _account(credential: Credential) -> str:
    user, password = template.quoted(credential.user), template.quoted(credential.password.reveal())
    return f"{{ user: {user}, password: {password} }}"
