"""The peers by name: which program, which files, which command."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common import waiting
from common.folder import filled
from common.processes import Running
from peers import programs
from peers.proxy import Proxy
from peers.upstream import Upstream

_HERE = Path(__file__).parent
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Peer:
    """`files` are written into the run's folder from the templates here; `command` is what follows the program;
    `values` fill what is particular to it."""

    name: str
    program: str
    files: tuple[str, ...]
    command: Callable[[Path], list[str]]
    ask_version: tuple[str, ...]
    note: str = ""
    values: tuple[tuple[str, str], ...] = ()


def _traefik(name: str, experimental: str, note: str) -> Peer:
    return Peer(
        name,
        "traefik",
        ("traefik.yaml", "traefik-routes.yaml"),
        lambda folder: [f"--configFile={folder / 'traefik.yaml'}"],
        ("version",),
        note,
        (("EXPERIMENTAL", experimental),),
    )


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "haproxy",
            "haproxy",
            ("haproxy.cfg", "routes.map"),
            lambda folder: ["-db", "-f", str(folder / "haproxy.cfg")],
            ("-v",),
            "by hand, the same duties",
        ),
        Peer(
            "haproxy-plain",
            "haproxy",
            ("haproxy-plain.cfg", "routes.map"),
            lambda folder: ["-db", "-f", str(folder / "haproxy-plain.cfg")],
            ("-v",),
            "by hand, routing and logging only",
        ),
        Peer(
            "nginx",
            "nginx",
            ("nginx.conf",),
            lambda folder: ["-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")],
            ("-v",),
            "no active checks, no queue",
        ),
        _traefik("traefik", "", "logs errors only, no request id"),
        _traefik("traefik-fast", "experimental: {fastProxy: {}}", "the same with its experimental fast proxy"),
        Peer(
            "caddy",
            "caddy",
            ("Caddyfile",),
            lambda folder: ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"],
            ("version",),
        ),
        Peer(
            "envoy",
            "envoy",
            ("envoy.yaml",),
            lambda folder: [
                *("-c", str(folder / "envoy.yaml"), "--concurrency", "1"),
                *("--disable-hot-restart", "--log-level", "error"),
            ],
            ("--version",),
        ),
    )
}


def start(peer: Peer, haproxy: Path, upstream: Upstream, folder: Path, core: int) -> tuple[Proxy, Running]:
    """Raises programs.Missing, or TookTooLong with what it printed."""
    program = haproxy if peer.program == "haproxy" else programs.find(peer.program)
    port = waiting.free_port()
    home = folder / peer.name
    home.mkdir()
    values = {"LISTEN": str(port), "FOLDER": str(home), **upstream.values(), **dict(peer.values)}
    for name in peer.files:
        (home / name).write_text(filled(_HERE / name, values), encoding="utf-8")
    command = [str(program), *peer.command(home)]
    # Go counts the cores that it may use; said outright all the same
    environment = {"GOMAXPROCS": "1", "HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    running = Running(peer.name, command, core=core, output=home / "output.log", environment=environment)
    try:
        running.wait_listening(port)
    except waiting.TookTooLong:
        running.stop()
        raise
    return Proxy(peer.name, version(program, peer.ask_version), port, running.pids, peer.note), running


def version(program: Path, arguments: tuple[str, ...]) -> str:
    done = subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    found = _VERSION.search(done.stdout + done.stderr)
    return found[0] if found else "?"
