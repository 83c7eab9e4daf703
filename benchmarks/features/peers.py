"""The peers, each with those features that it has without a plug-in."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from common import waiting
from common.cores import Cores
from common.folder import filled
from common.processes import Running
from features.keys import Keys
from features.side import Side
from peers import programs, roster
from peers.upstream import Upstream

_HERE = Path(__file__).parent
#: the files of each; the rest is as in peers/roster.py
_FILES = {
    "traefik": ("traefik.yaml", "traefik-routes.yaml"),
    "caddy": ("Caddyfile",),
    "envoy": ("envoy.yaml",),
}
NAMES = tuple(_FILES)


def start(name: str, servers: Upstream, folder: Path, keys: Keys, cores: Cores) -> tuple[Side, Running]:
    """Raises programs.Missing, or TookTooLong with what it printed."""
    peer = roster.PEERS[name]
    program = programs.find(peer.program)
    home, port = folder / name, waiting.free_port()
    home.mkdir()
    digest = base64.b64encode(hashlib.sha1(keys.password.encode(), usedforsecurity=False).digest()).decode()
    values = {
        "LISTEN": str(port),
        "FOLDER": str(home),
        "EXPERIMENTAL": "",
        "HTPASSWD": f"{keys.user}:{{SHA}}{digest}",
        "KEY_SET": keys.key_set,
        **servers.values(),
    }
    for file in _FILES[name]:
        template = _HERE / file if (_HERE / file).exists() else Path(roster.__file__).with_name(file)
        (home / file).write_text(filled(template, values), encoding="utf-8")
    environment = {"GOMAXPROCS": "1", "HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    command = [str(program), *peer.command(home)]
    running = Running(name, command, core=cores.measured, output=home / "output.log", environment=environment)
    try:
        running.wait_listening(port)
    except waiting.TookTooLong:
        running.stop()
        raise
    return Side(name, port, folder, keys, peer=name), running
