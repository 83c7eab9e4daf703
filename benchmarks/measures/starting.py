"""`cloudlet up -d --wait` of a copy of the example shop: cold, with engines initialised from nothing, and warm, with
what the cold one left behind. Beside each, the CPU time that went into it and whose it was: on few cores, eight
instances of Python that all import their libraries at once are most of the time it takes."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from common import procfs, waiting
from common.cloudlet import Cloudlet
from common.folder import temporary
from measures.measure import Measure

_SHOP = Path(__file__).parents[2] / "examples" / "shop"
_LISTEN = "listen: {http: 8080, https: 8443}"
_BUDGETS = {"cold": 5.0, "warm": 2.0}


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds until healthy, and the CPU seconds spent by then; what a program has ended by then is not in them."""

    took: float
    instances: float
    engines: float
    control: float


def measure(rounds: int, say: Callable[[str], None]) -> list[Measure]:
    starts: dict[str, list[Start]] = {"cold": [], "warm": []}
    for number in range(rounds):
        with temporary("shop") as folder:
            shop = folder / "shop"
            shutil.copytree(_SHOP, shop, ignore=shutil.ignore_patterns(".cloudlet", "__pycache__"))
            port = _listen_elsewhere(shop / "cloudlet.yaml")
            Cloudlet(shop / "cloudlet.yaml").command("secret", "set", "shop-tokens", "--generate")
            for kind, found in starts.items():
                found.append(_up_and_down(Cloudlet(shop / "cloudlet.yaml"), port))
                say(f"up {number + 1} of {rounds}, {kind}: {found[-1].took:.2f} s")
    return [row for kind, found in starts.items() for row in _rows(kind, found)]


def _rows(kind: str, starts: list[Start]) -> list[Measure]:
    return [
        Measure(f"up of the shop, {kind}", tuple(start.took for start in starts), "s", _BUDGETS[kind]),
        Measure("  CPU of its instances by then", tuple(start.instances for start in starts), "s"),
        Measure("  CPU of its engines by then", tuple(start.engines for start in starts), "s"),
        Measure("  CPU of cloudlet by then", tuple(start.control for start in starts), "s"),
    ]


def _listen_elsewhere(file: Path) -> int:
    """Free ports, so that a shop which runs already is left alone. The port for HTTP."""
    http, https = waiting.free_port(), waiting.free_port()
    text = file.read_text(encoding="utf-8")
    if _LISTEN not in text:
        raise LookupError(f"{file} does not say {_LISTEN}; teach measures/starting.py what it says now")
    file.write_text(text.replace(_LISTEN, f"listen: {{http: {http}, https: {https}}}"), encoding="utf-8")
    return http


def _up_and_down(cloudlet: Cloudlet, port: int) -> Start:
    try:
        took = cloudlet.up()
        status, control = cloudlet.status(), cloudlet.control_plane()
        start = Start(
            took,
            instances=_cpu(item["pid"] for service in status["services"] for item in service["instances"]),
            engines=_cpu(item["pid"] for item in status["engines"]),
            control=procfs.cpu_seconds(control),
        )
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/products", timeout=5) as answer:
            answer.read()
    finally:
        cloudlet.down()
    return start


def _cpu(pids: Iterable[int]) -> float:
    return sum(procfs.cpu_seconds(procfs.family(int(pid))) for pid in pids)
