"""The proxy as a process of its own: its file, its log, a real name, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloudlet.contracts.egress import CONFIGURATION, EgressConfiguration, digest
from cloudlet.runtime.ports import free_port
from cloudlet.stack.egress import Rules
from tests.gateway.egress.conftest import PATIENCE, SECRET, credential, destination, echo


@pytest.fixture
def file(tmp_path: Path) -> Path:
    configuration = EgressConfiguration(
        {digest("orders", SECRET): "orders"}, {"orders": Rules(allow=("localhost", "127.0.0.0/8"))}
    )
    path = tmp_path / "egress.json"
    path.touch(mode=0o640)
    path.write_bytes(CONFIGURATION.dump_json(configuration))
    return path


def command(port: int, file: Path) -> list[str]:
    return [sys.executable, "-m", "cloudlet.gateway.egress", "--port", str(port), "--config", str(file)]


async def connect(port: int, to: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.02)
        writer.write(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{credential()}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    return reader, writer


async def test_a_process_serves_until_it_is_told_and_its_tunnels_are_done(file):
    """By a name of the machine's own resolver; after SIGTERM nobody new gets in, and what is open goes on."""
    port = free_port(set())
    process = await asyncio.create_subprocess_exec(*command(port, file), stdout=subprocess.PIPE)
    try:
        async with destination(echo) as there, asyncio.timeout(PATIENCE):
            reader, writer = await connect(port, f"localhost:{there.port}")
            process.send_signal(signal.SIGTERM)
            while True:
                try:
                    _, other = await asyncio.open_connection("127.0.0.1", port)
                    other.close()
                except OSError:
                    break
            writer.write(b"still here")
            assert await reader.readexactly(10) == b"still here"
            assert process.returncode is None
            writer.close()
            assert await process.wait() == 0
            assert process.stdout is not None
            (line,) = (await process.stdout.read()).splitlines()
            entry = json.loads(line)
            assert (entry["destination"], entry["address"]) == (f"localhost:{there.port}", "127.0.0.1")
            assert SECRET not in line.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_file_that_others_may_read_is_refused(file):
    """Exit status 2 and the fix, in one line."""
    file.chmod(0o644)
    done = subprocess.run(command(0, file), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stderr.strip() == f"cloudlet-egress: {file} holds secrets and is open to everybody; run chmod o= on it"


def test_a_file_that_is_no_configuration_is_refused_without_showing_it(file):
    """What is wrong, by place, and nothing of the content."""
    file.write_text('{"credentials": "hush", "rules": {"orders": {"allow": ["no such/"]}}}')
    done = subprocess.run(command(0, file), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert "is not the configuration of cloudlet-egress" in done.stderr
    assert "hush" not in done.stderr


def test_the_file_holds_no_secret(file):
    """Only hashes of the credentials."""
    assert SECRET.encode() not in file.read_bytes()
    assert os.stat(file).st_mode & 0o007 == 0
