"""`make demo`, shortened: the shop under cloudlet, orders through the gateway, and everything down again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from shop_harness import SHOP, file_on_free_ports


def _shop_on_free_ports(folder: Path) -> Path:
    file = folder / "demo" / "cloudlet.yaml"
    file.parent.mkdir()
    file.write_text(file_on_free_ports())
    return file


def test_the_demo_places_its_orders_and_leaves_nothing_behind(folder: Path) -> None:
    """Up from nothing, thirty orders, no failure and none lost, down; exit status 0."""
    file = _shop_on_free_ports(folder)
    command = [sys.executable, SHOP / "demo.py", "--file", file, "--once", "--orders", "30"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b0 of them lost, 0 requests failed", done.stdout)
    for instance in ("catalogue-1", "catalogue-2", "orders-1", "orders-2"):
        assert instance in done.stdout
    assert not _processes_of(file)


def _processes_of(file: Path) -> list[str]:
    """What still runs with the stack's folder in its command line."""
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(file.parent) in line]
