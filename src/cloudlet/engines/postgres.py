"""PostgreSQL: one cluster for each database of the file.

    data/postgres-RESOURCE/   postgresql.conf, pg_hba.conf
        cluster/              PostgreSQL's data folder, renamed to this when its initialisation was finished
        initialising/         what a killed initialisation left behind, removed by the next

Its children leave its process group, so a killed postmaster leaves them behind: see templates/postgres.sh.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from signal import SIGINT
from urllib.parse import quote

import psycopg

from cloudlet.contracts.engine import Address, Binary
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import ProcessSpec, User
from cloudlet.contracts.secret import ADMINISTRATOR, Credential, Credentials
from cloudlet.engines import postgres_roles, template
from cloudlet.engines.command import run
from cloudlet.engines.folder import EngineFolder
from cloudlet.errors import EngineFailed, Refused

#: enough for a handful of services with several instances and a pool each; an unused one costs some kilobytes
_CONNECTIONS = 300
#: seconds for a fast shutdown, which writes everything that is still in memory
_GRACE = 30.0
#: a failed connection has no error code, only words; the server's are English (lc_messages)
_TURNED_AWAY = ("password authentication failed", "no pg_hba.conf entry", "authentication method requirement")
_MEGABYTE = 1 << 20
_CLUSTER, _UNFINISHED = "cluster", "initialising"


class PostgresEngine:
    """One PostgreSQL cluster; its administrator is a superuser whose password only cloudlet has."""

    def __init__(
        self,
        resource: str,
        port: int,
        paths: StatePaths,
        secrets: Credentials,
        user: User | None,
        binary: Binary,
    ) -> None:
        self.name = f"postgres-{resource}"
        self.resource = resource
        self.port = port
        self._secrets, self._user, self._binary = secrets, user, binary
        self._folder = EngineFolder(paths.data(self.name), user)
        self._log = paths.log(self.name)
        self._database = resource.replace("-", "_")

    async def provision(self) -> None:
        program = self._binary.usable()
        if self._user is None and os.geteuid() == 0:
            raise Refused(f"{self.name} cannot run as root: give it a user of its own")
        self._folder.make()
        if not (self._folder.path / _CLUSTER).exists():
            await self._initialise(program.with_name("initdb"))
        self._folder.make_child(_CLUSTER)
        self._configure()

    async def _initialise(self, initdb: Path) -> None:
        """The rename comes last, so that a folder named `cluster` is always a whole one."""
        self._folder.remove(_UNFINISHED)
        user = user_with_name(self._user)
        fresh = EngineFolder(self._folder.path, user).make_child(_UNFINISHED)
        await run(
            (str(initdb), *_initdb_options(fresh, self._binary.version)),
            user,
            secret=self._administrator().password.reveal(),
        )
        self._folder.give(fresh)
        self._folder.rename(_UNFINISHED, _CLUSTER)

    def _configure(self) -> None:
        cluster = self._folder.path / _CLUSTER
        hba = self._folder.write("pg_hba.conf", template.text("pg_hba.conf"))
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        settings = template.render(
            "postgresql.conf",
            data=template.postgres_quoted(cluster),
            hba=template.postgres_quoted(hba),
            ident=template.postgres_quoted(cluster / "pg_ident.conf"),
            name=template.postgres_quoted(self.resource),
            port=self.port,
            connections=_CONNECTIONS,
            shared_buffers=shared_buffers(memory),
            effective_cache_size=max(128, memory // 2 // _MEGABYTE),
        )
        self._folder.write("postgresql.conf", settings)

    def process(self) -> ProcessSpec:
        program, folder = str(self._binary.usable()), self._folder.path
        script = ("/bin/sh", "-c", template.text("postgres.sh"), self.name, str(folder / _CLUSTER))
        return ProcessSpec(
            name=self.name,
            argv=(*script, program, "-D", str(folder)),
            directory=folder,
            environment={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
            log=self._log,
            user=self._user,
            stop_signal=SIGINT,
            grace=_GRACE,
        )

    async def ready(self) -> bool:
        try:
            async with asyncio.timeout(5), await self._connect() as connection:
                await connection.execute("select 1")
        except (psycopg.Error, OSError, TimeoutError) as error:
            if not any(words in str(error) for words in _TURNED_AWAY):
                return False
            raise EngineFailed(
                f"{self.name} on port {self.port} refuses cloudlet's own account: {error}; "
                "either another server has the port, or the folder of secrets is not the one it was made with"
            ) from error
        return True

    async def admit(self, service: str) -> None:
        try:
            async with await self._connect() as connection:
                credential = self._secrets.credential(service, self.resource)
                await postgres_roles.admit(connection, self._database, credential)
        except (psycopg.Error, OSError) as error:
            raise EngineFailed(f"{self.name} did not admit {service}: {error}") from error

    def environment(self, service: str, address: Address) -> dict[str, str]:
        own = self._secrets.credential(service, self.resource)
        login = f"{quote(own.user, safe='')}:{quote(own.password.reveal(), safe='')}"
        url = f"postgresql://{login}@{address.host}:{address.port}/{quote(self._database, safe='')}"
        prefix = template.variable(self.resource)
        return {f"{prefix}_URL": url, f"{prefix}_READ_URL": url}

    def _administrator(self) -> Credential:
        return self._secrets.credential(ADMINISTRATOR, self.resource)

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """Everything is given, so that no PG… variable counts; the password never goes in clear."""
        own = self._administrator()
        return await psycopg.AsyncConnection.connect(
            host="127.0.0.1",
            hostaddr="127.0.0.1",
            port=self.port,
            dbname="postgres",
            user=own.user,
            password=own.password.reveal(),
            require_auth="scram-sha-256",
            sslmode="disable",
            gssencmode="disable",
            passfile=os.devnull,
            options="",
            target_session_attrs="any",
            client_encoding="UTF8",
            application_name="cloudlet",
            connect_timeout=5,
            autocommit=True,
        )


def shared_buffers(memory: int) -> int:
    """Megabytes for PostgreSQL's own cache on a machine of this many bytes, shared with the rest."""
    return min(1024, max(64, memory // 16 // _MEGABYTE))


def user_with_name(user: User | None) -> User | None:
    """As whom initdb runs. It asks for its user's name and refuses to work for a number that has none.

    `nobody` has one. Other processes of nobody's get nowhere near: the folder above lets only the engine's
    group pass, and this user keeps that group.
    """
    if user is None:
        return None
    with suppress(KeyError):
        pwd.getpwuid(user.uid)
        return user
    for entry in pwd.getpwall():
        if entry.pw_name == "nobody" and entry.pw_uid != 0:
            return replace(user, uid=entry.pw_uid)
    raise EngineFailed(
        "initdb needs a user that has a name, and this system has no user nobody: "
        f"add one, or give user {user.uid} a name"
    )


def _initdb_options(data: Path, version: str) -> tuple[str, ...]:
    """The password goes over standard input: neither `ps` nor the disk sees it. Sorting does not depend on
    the C library from version 17 on, so that an index outlives a move to another system."""
    major = int(version.partition(".")[0])
    builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    return (
        f"--pgdata={data}",
        f"--username={ADMINISTRATOR}",
        "--pwfile=/dev/stdin",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--data-checksums",
        *(builtin if major >= 17 else ("--locale=C.UTF-8",)),
    )
