"""cloudlet as one of the proxies: `up -d --wait` of peers/cloudlet.yaml, with all its defaults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cloudlet import __version__
from cloudlet.engines.locate import usable
from common import waiting
from common.cloudlet import Cloudlet
from common.cores import Cores
from common.folder import filled
from peers.proxy import Proxy
from peers.upstream import Upstream, of_cloudlet


def haproxy() -> Path:
    """The one that cloudlet runs, so that the hand-written configurations run on the same."""
    return usable("haproxy")


def start(
    program: Path, folder: Path, cores: Cores, stop_later: Callable[[Callable[[], None]], object]
) -> tuple[Proxy, Upstream]:
    """Raises CloudletFailed. Its daemon and its keeper, which reads the log, share the core of its HAProxy and count
    as part of it."""
    home, port = folder / "cloudlet", waiting.free_port()
    home.mkdir()
    file = home / "cloudlet.yaml"
    values = {
        "LISTEN": str(port),
        "FOLDER": str(folder),
        "HAPROXY": str(program),
        "DRIVING": str(cores.driving),
    }
    file.write_text(filled(Path(__file__).with_name("cloudlet.yaml"), values), encoding="utf-8")
    cloudlet = Cloudlet(file, core=cores.measured)
    stop_later(cloudlet.down)
    cloudlet.up()
    processes = cloudlet.control_plane() | cloudlet.data_plane()
    proxy = Proxy("cloudlet", __version__, port, lambda: processes, "its real configuration")
    return proxy, of_cloudlet(cloudlet)
