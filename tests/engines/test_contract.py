"""What every engine promises, held by the real servers."""

from __future__ import annotations

import os
import socket
import stat
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from cloudlet.contracts.secret import ADMINISTRATOR
from cloudlet.errors import EngineFailed

from .clients import with_login
from .conftest import Rig, free_port
from .supervisor import command_lines


async def test_provisioning_again_changes_nothing_while_it_runs(rig: Rig) -> None:
    """The second provisioning keeps data, passwords and the running server as they are."""
    await rig.up()
    await rig.engine.admit("orders")
    await rig.client.put(rig.url("orders"), "colour", "blue")
    again = rig.another(rig.engine.port)
    await again.provision()
    assert await again.ready()
    assert await rig.client.get(rig.url("orders"), "colour") == "blue"


async def test_is_ready_only_while_it_runs(rig: Rig) -> None:
    """Readiness follows the real server: not before its start, not after its end."""
    await rig.engine.provision()
    assert not await rig.engine.ready()
    running = await rig.start()
    assert await rig.engine.ready()
    assert running.stop() == 0
    assert not await rig.engine.ready()


async def test_services_share_what_they_write(rig: Rig) -> None:
    """What one admitted service writes, another one reads and changes."""
    await rig.up()
    await rig.engine.admit("orders")
    await rig.client.put(rig.url("orders"), "colour", "blue")
    await rig.engine.admit("users")
    assert await rig.client.get(rig.url("users"), "colour") == "blue"
    await rig.client.put(rig.url("users"), "colour", "green")
    assert await rig.client.get(rig.url("orders"), "colour") == "green"


async def test_admitting_again_is_harmless_and_takes_over_a_rotated_password(rig: Rig) -> None:
    """The old password ends, the new one works, and repetition does no harm."""
    await rig.up()
    await rig.engine.admit("orders")
    await rig.engine.admit("orders")
    old = rig.url("orders")
    await rig.client.put(old, "colour", "blue")
    rig.secrets.rotate("credential.shop-db.orders")
    await rig.engine.admit("orders")
    assert await rig.client.get(rig.url("orders"), "colour") == "blue"
    with pytest.raises(rig.client.refusals):
        await rig.client.get(old, "colour")


@pytest.mark.parametrize("login", ["orders:wrong", "strangers:wrong", "default:", f"{ADMINISTRATOR}:wrong", ""])
async def test_turns_away_who_was_not_admitted(rig: Rig, login: str) -> None:
    """A wrong password, an unknown user, the default user and nobody at all are refused."""
    await rig.up()
    await rig.engine.admit("orders")
    with pytest.raises(rig.client.refusals):
        await rig.client.put(with_login(rig.url("orders"), login), "colour", "blue")


async def test_listens_on_loopback_only(rig: Rig) -> None:
    """Every socket it listens on is 127.0.0.1 and its own port."""
    running = await rig.up()
    assert listening(running.pid) == {("127.0.0.1", rig.engine.port)}


async def test_shows_no_secret(rig: Rig) -> None:
    """No password is in any command line, nor on the disk but in files of mode 600."""
    running = await rig.up()
    await rig.engine.admit("orders")
    rig.url("orders")
    await rig.client.put(rig.url("orders"), "colour", "blue")
    known = [path.read_text() for path in rig.paths.secrets.iterdir()]
    assert len(known) >= 2
    lines = command_lines()
    assert running.pid in lines
    assert not [line for line in lines.values() for secret in known if secret in line]
    assert not [secret for secret in known if secret in running.log()]
    for path in files_below(rig.paths.root):
        if any(secret.encode() in path.read_bytes() for secret in known):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_its_files_are_its_own(rig: Rig) -> None:
    """No other user may enter its folder, and all its data belongs to the user it runs as."""
    running = await rig.up()
    folder = rig.paths.data(rig.engine.name)
    assert not folder.stat().st_mode & stat.S_IRWXO
    uid = os.geteuid() if rig.user is None else rig.user.uid
    assert Path(f"/proc/{running.pid}").stat().st_uid == uid
    assert {path.stat().st_uid for path in files_below(folder)} == {uid}


async def test_a_killed_engine_comes_back_with_what_it_acknowledged(rig: Rig) -> None:
    """After SIGKILL the same command starts it again, and every acknowledged write is there."""
    running = await rig.up()
    await rig.engine.admit("orders")
    for number in range(20):
        await rig.client.put(rig.url("orders"), f"thing-{number}", str(number))
    running.kill()
    await rig.start()
    for number in range(20):
        assert await rig.client.get(rig.url("orders"), f"thing-{number}") == str(number)


async def test_admissions_and_data_outlive_a_stop_and_a_new_port(rig: Rig) -> None:
    """A clean stop, then another cloudlet gives it another port: the same data, the same passwords."""
    running = await rig.up()
    await rig.engine.admit("orders")
    await rig.client.put(rig.url("orders"), "colour", "blue")
    assert running.stop() == 0
    rig.engine = rig.another(free_port())
    await rig.up()
    assert await rig.client.get(rig.url("orders"), "colour") == "blue"


async def test_says_so_when_another_server_has_its_passwords_wrong(rig: Rig) -> None:
    """A server that refuses cloudlet's own account is a failure with words, not endless waiting."""
    await rig.up()
    rig.secrets.rotate(f"credential.shop-db.{ADMINISTRATOR}")
    with pytest.raises(EngineFailed, match="refuses cloudlet"):
        await rig.engine.ready()


async def test_readiness_is_quiet_about_a_port_that_accepts_and_says_nothing(rig: Rig) -> None:
    """Something accepts connections and hangs up: not ready, and no exception."""
    with socket.create_server(("127.0.0.1", rig.engine.port)) as server:
        server.settimeout(10)

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert not await rig.engine.ready()
        thread.join(10)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")
async def test_works_below_a_folder_its_user_may_not_enter(rig: Rig) -> None:
    """A stack in /root: the engine keeps the one capability to pass through, and nothing else of root's."""
    assert rig.user is not None
    rig.paths.root.parent.chmod(0o700)
    rig.user = replace(rig.user, reads_all=True)
    rig.engine = rig.another()
    running = await rig.up()
    await rig.engine.admit("orders")
    await rig.client.put(rig.url("orders"), "colour", "blue")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{running.pid}/status").read_text().splitlines())
    assert int(status["CapEff"], 16) == 1 << 2
    assert status["Groups"].strip() == ""


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses of the TCP sockets in state LISTEN that a process has, by /proc."""
    own = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            own.add(os.readlink(entry))
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                address, port = fields[1].split(":")
                words = b"".join(bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
                found.add((socket.inet_ntop(family, words), int(port, 16)))
    return found


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
