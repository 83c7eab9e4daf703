"""cloudlet with one route for each feature."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from common import waiting
from common.cloudlet import Cloudlet, CloudletFailed
from common.cores import Cores
from common.folder import filled
from features.keys import Keys
from features.side import Side
from peers.upstream import Upstream, of_cloudlet


def start(
    program: Path,
    folder: Path,
    keys: Keys,
    cores: Cores,
    stop_later: Callable[[Callable[[], None]], object],
) -> tuple[Side, Upstream]:
    """Raises CloudletFailed. Everything of cloudlet's own shares one core."""
    home, port = folder / "cloudlet", waiting.free_port()
    home.mkdir()
    file = home / "cloudlet.yaml"
    values = {
        "LISTEN": str(port),
        "FOLDER": str(folder),
        "HAPROXY": str(program),
        "DRIVING": str(cores.driving),
        "PUBLIC_KEY": str(keys.public_key),
    }
    file.write_text(filled(Path(__file__).with_name("cloudlet.yaml"), values), encoding="utf-8")
    (home / "order.schema.json").write_bytes(Path(__file__).with_name("order.schema.json").read_bytes())
    cloudlet = Cloudlet(file, core=cores.measured)
    for name, value in (("bench-tokens", keys.secret), ("bench-password", keys.password)):
        cloudlet.command("secret", "set", name, given=value)
    stop_later(cloudlet.down)
    cloudlet.up()
    issued = re.search(r"clk_\S+", cloudlet.command("key", "issue", "bench"))
    if issued is None:
        raise CloudletFailed("`cloudlet key issue` printed no key")
    return Side("cloudlet", port, folder, keys, issued[0].strip('",')), of_cloudlet(cloudlet)
