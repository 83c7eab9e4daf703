"""The servers behind every proxy: cloudlet's own instances when it takes part, else the same program started here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from common import waiting
from common.cloudlet import Cloudlet
from common.processes import Running


@dataclass(frozen=True, slots=True)
class Upstream:
    """Ports: two instances of `orders`, which the load asks for, and one of `web`."""

    orders: tuple[int, int]
    web: int

    def values(self) -> dict[str, str]:
        first, second = self.orders
        return {"ORDERS_1": str(first), "ORDERS_2": str(second), "WEB_1": str(self.web)}


def write(folder: Path) -> None:
    """Its configuration, which takes the port from its environment."""
    shutil.copy(Path(__file__).with_name("upstream.cfg"), folder)


def of_cloudlet(cloudlet: Cloudlet) -> Upstream:
    first, second = (int(item["port"]) for item in cloudlet.instances("orders"))
    return Upstream((first, second), int(cloudlet.instances("web")[0]["port"]))


def started(haproxy: Path, folder: Path, core: int) -> tuple[Upstream, list[Running]]:
    """Started here; the caller stops them."""
    running, ports = [], []
    for name in ("orders-1", "orders-2", "web-1"):
        port = waiting.free_port()
        command = [str(haproxy), "-db", "-f", str(folder / "upstream.cfg")]
        server = Running(name, command, core=core, output=folder / f"{name}.log", environment={"PORT": str(port)})
        running.append(server)
        ports.append(port)
        server.wait_listening(port)
    return Upstream((ports[0], ports[1]), ports[2]), running
