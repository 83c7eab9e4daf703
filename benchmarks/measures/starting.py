"""`cloudlet up -d --wait` of a copy of the example shop: cold, with engines initialised from nothing, and warm, with
what the cold one left behind."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path

from common import waiting
from common.cloudlet import Cloudlet
from common.folder import temporary
from measures.measure import Measure

_SHOP = Path(__file__).parents[2] / "examples" / "shop"
_LISTEN = "listen: {http: 8080, https: 8443}"


def measure(rounds: int, say: Callable[[str], None]) -> list[Measure]:
    cold: list[float] = []
    warm: list[float] = []
    for number in range(rounds):
        with temporary("shop") as folder:
            shop = folder / "shop"
            shutil.copytree(_SHOP, shop, ignore=shutil.ignore_patterns(".cloudlet", "__pycache__"))
            port = _listen_elsewhere(shop / "cloudlet.yaml")
            for times in (cold, warm):
                times.append(_up_and_down(Cloudlet(shop / "cloudlet.yaml"), port))
        say(f"up {number + 1} of {rounds}: cold {cold[-1]:.2f} s, warm {warm[-1]:.2f} s")
    return [
        Measure("up of the shop, cold", tuple(cold), "s", 5.0),
        Measure("up of the shop, warm", tuple(warm), "s", 2.0),
    ]


def _listen_elsewhere(file: Path) -> int:
    """Free ports, so that a shop which runs already is left alone. The port for HTTP."""
    http, https = waiting.free_port(), waiting.free_port()
    text = file.read_text(encoding="utf-8")
    if _LISTEN not in text:
        raise LookupError(f"{file} does not say {_LISTEN}; teach measures/starting.py what it says now")
    file.write_text(text.replace(_LISTEN, f"listen: {{http: {http}, https: {https}}}"), encoding="utf-8")
    return http


def _up_and_down(cloudlet: Cloudlet, port: int) -> float:
    try:
        took = cloudlet.up()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/products", timeout=5) as answer:
            answer.read()
    finally:
        cloudlet.down()
    return took
