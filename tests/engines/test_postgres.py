"""What only PostgreSQL promises."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from cloudlet.contracts.process import User
from cloudlet.contracts.secret import ADMINISTRATOR
from cloudlet.engines.postgres import shared_buffers, user_with_name
from cloudlet.errors import EngineFailed, Refused

from .conftest import Rig, wait_until
from .supervisor import command_lines


@pytest.fixture
def rig(rigs: Callable[[str], Rig]) -> Rig:
    return rigs("postgres")


def administrator(rig: Rig, database: str = "postgres") -> dict[str, object]:
    own = rig.secrets.credential(ADMINISTRATOR, "shop-db")
    return {
        "host": "127.0.0.1",
        "port": rig.engine.port,
        "user": own.user,
        "password": own.password.reveal(),
        "dbname": database,
        "autocommit": True,
    }


async def ask(rig: Rig, query: str) -> str:
    async with await psycopg.AsyncConnection.connect(**administrator(rig)) as connection:
        row = await (await connection.execute(query)).fetchone()
        assert row is not None
        return str(row[0])


async def test_keeps_what_it_says_in_force(rig: Rig) -> None:
    """Durability, checksums and hashed passwords are on in the running server, Unix sockets off."""
    await rig.up()
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "password_encryption": "scram-sha-256",
        "unix_socket_directories": "",
        "listen_addresses": "127.0.0.1",
        "server_encoding": "UTF8",
    }
    assert {name: await ask(rig, f"show {name}") for name in expected} == expected


async def test_an_orphan_in_the_middle_of_a_query_does_not_prevent_the_restart(rig: Rig) -> None:
    """The postmaster alone is killed; a backend that computes on is ended, and it starts again."""
    running = await rig.up()
    await rig.engine.admit("orders")
    await rig.client.put(rig.url("orders"), "colour", "blue")
    connection = await psycopg.AsyncConnection.connect(**administrator(rig))
    orphan = connection.info.backend_pid
    computing = asyncio.create_task(
        connection.execute("select count(*) from generate_series(1, 100000000000) where random() < 0")
    )
    await wait_until(lambda: _is_active(rig, orphan))
    running.kill_leader()
    assert Path(f"/proc/{orphan}").exists()
    await rig.start()
    assert await rig.client.get(rig.url("orders"), "colour") == "blue"
    with pytest.raises(psycopg.OperationalError):
        await computing
    await connection.close()


async def _is_active(rig: Rig, pid: int) -> bool:
    return await ask(rig, f"select coalesce((select state from pg_stat_activity where pid = {pid}), '')") == "active"


async def test_a_second_server_on_the_same_data_does_no_harm(rig: Rig) -> None:
    """Started twice by mistake, the second one gives up and the first one serves on, its children alive."""
    await rig.up()
    first = rig.running
    assert first is not None
    second = type(first)(rig.engine.process())
    try:
        assert await asyncio.to_thread(second._process.wait, 20) != 0
        assert "lock file" in second.log()
        assert await rig.engine.ready()
        assert "terminated by signal" not in first.log()
    finally:
        second.close()


async def test_a_killed_initialisation_leaves_nothing_half_done(rig: Rig) -> None:
    """Provisioning is cut off while initdb works; the next one starts afresh and gets a whole cluster."""
    folder = rig.paths.data(rig.engine.name)
    task = asyncio.create_task(rig.engine.provision())
    await wait_until(lambda: _there(folder / "initialising" / "PG_VERSION"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (folder / "cluster").exists()
    await rig.up()
    assert not (folder / "initialising").exists()


async def test_nothing_of_an_initialisation_outlives_a_killed_cloudlet(rig: Rig) -> None:
    """SIGKILL of the process that provisions ends initdb as well, and the next one succeeds."""
    folder = rig.paths.data(rig.engine.name)
    user = "None" if rig.user is None else repr(rig.user)
    program = f"""
import asyncio, pathlib
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.engines.registry import build
from cloudlet.identity.secrets import Secrets
paths = StatePaths(pathlib.Path({str(rig.paths.root)!r}))
asyncio.run(build("postgres", "shop-db", 1, paths, Secrets(paths.secrets), {user}).provision())
"""
    cloudlet = subprocess.Popen([sys.executable, "-c", program])
    try:
        await wait_until(lambda: _there(folder / "initialising" / "PG_VERSION"))
    finally:
        cloudlet.kill()
        cloudlet.wait()
    assert not (folder / "cluster").exists()
    await wait_until(lambda: _nobody_runs(str(folder)))
    await rig.up()


async def _nobody_runs(words: str) -> bool:
    return not any(words in line for line in command_lines().values())


async def _there(path: Path) -> bool:
    return path.exists()


async def test_only_members_reach_the_database(rig: Rig) -> None:
    """A role that was not admitted logs in nowhere, and an admitted one neither makes databases nor roles."""
    await rig.up()
    await rig.engine.admit("orders")
    async with await psycopg.AsyncConnection.connect(**administrator(rig)) as connection:
        await connection.execute("create role stranger login password 'known'")
    for database in ("shop_db", "postgres", "template1"):
        url = f"postgresql://stranger:known@127.0.0.1:{rig.engine.port}/{database}"
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            await psycopg.AsyncConnection.connect(url)
    async with await psycopg.AsyncConnection.connect(rig.url("orders"), autocommit=True) as connection:
        for statement in ("create database other", "create role other", "alter system set fsync = off"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement)


async def test_services_admitted_at_once_do_not_disturb_each_other(rig: Rig) -> None:
    """Five admissions in parallel, each twice, and all five can log in."""
    await rig.up()
    services = [f"service-{number}" for number in range(5)]
    await asyncio.gather(*(rig.engine.admit(name) for name in services * 2))
    for name in services:
        await rig.client.put(rig.url(name), name, name)


async def test_repairs_a_password_changed_behind_its_back(rig: Rig) -> None:
    """Somebody changed the role's password and powers; admitting the service again takes both back."""
    await rig.up()
    await rig.engine.admit("orders")
    async with await psycopg.AsyncConnection.connect(**administrator(rig)) as connection:
        await connection.execute("alter role orders superuser password 'other'")
    with pytest.raises(psycopg.OperationalError):
        await rig.client.put(rig.url("orders"), "a", "b")
    await rig.engine.admit("orders")
    await rig.client.put(rig.url("orders"), "a", "b")
    assert await ask(rig, "select rolsuper from pg_roles where rolname = 'orders'") == "False"


async def test_a_crashed_backend_takes_nobody_with_it_for_long(rig: Rig) -> None:
    """SIGKILL of one backend: PostgreSQL recovers by itself within the same process."""
    running = await rig.up()
    connection = await psycopg.AsyncConnection.connect(**administrator(rig))
    os.kill(connection.info.backend_pid, signal.SIGKILL)
    await wait_until(lambda: rig.engine.ready())
    assert running.alive()
    await connection.close()


async def test_a_folder_that_cannot_be_made_is_said(rig: Rig) -> None:
    """What stands in the way is named."""
    rig.paths.data(rig.engine.name).write_text("in the way")
    with pytest.raises(EngineFailed, match="cannot make"):
        await rig.engine.provision()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try to run it as root")
async def test_refuses_to_run_as_root(rig: Rig) -> None:
    """Without a user of its own under root the refusal comes before anything is made."""
    rig.user = None
    with pytest.raises(Refused, match="cannot run as root"):
        await rig.another().provision()
    assert not rig.paths.data(rig.engine.name).exists()


def test_a_user_without_a_name_borrows_one_and_keeps_its_group() -> None:
    """initdb works as nobody, but with the engine's own group, which alone may enter its folder."""
    borrowed = user_with_name(User(61190, 61191, reads_all=True))
    assert borrowed is not None
    assert borrowed.uid not in (0, 61190)
    assert (borrowed.gid, borrowed.reads_all) == (61191, True)
    assert user_with_name(None) is None


@pytest.mark.parametrize(("memory", "megabytes"), [(512 << 20, 64), (4 << 30, 256), (256 << 30, 1024)])
def test_its_own_cache_fits_the_machine(memory: int, megabytes: int) -> None:
    """A sixteenth of the machine's memory, between 64 MB and 1 GB."""
    assert shared_buffers(memory) == megabytes
