"""Run the shop and send real orders through it until Ctrl-C.

python examples/shop/demo.py              until Ctrl-C, then everything is taken down
python examples/shop/demo.py --once       sixty orders, then down; exits 1 when one request failed
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from traffic import Tally, missing, send

FILE = Path(__file__).with_name("cloudlet.yaml")
CUSTOMERS = 4
#: orders a second: enough to see, little enough to leave the machine to you
RATE = 8.0
#: seconds; longer than a restart of PostgreSQL takes
TIMEOUT = 20.0

console = Console(soft_wrap=True)


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # taken down as cleanly as by Ctrl-C
    status = 130
    try:
        status = _cloudlet(options.file, "secret", "set", "shop-tokens", "--generate")
        status = status or _cloudlet(options.file, "up", "-d", "--wait")
        if status:
            console.print("\nThe shop did not come up; the lines above say why.")
        else:
            status = asyncio.run(_demonstrate(options))
    except KeyboardInterrupt:
        console.print("\nInterrupted.")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # another Ctrl-C must not leave half of it running
        down = _take_down(options.file)
    return status or down


def _take_down(file: Path) -> int:
    console.print("Taking the shop down …")
    status = _cloudlet(file, "down")
    if status:
        console.print(f"`cloudlet down` exited with status {status}; `cloudlet -f {file} status` says what runs.")
    else:
        state = file.resolve().parent / ".cloudlet"
        console.print(f"Everything is down. The data stays in {state}; the next start is the quicker for it.")
    return status


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="run the shop and send real orders through it")
    parser.add_argument("--file", type=Path, default=FILE, help="another cloudlet.yaml of the shop")
    parser.add_argument("--once", action="store_true", help="stop after some orders, exit 1 when one failed")
    parser.add_argument("--orders", type=int, default=60, metavar="N", help="how many with --once (60)")
    return parser.parse_args()


def _cloudlet(file: Path, *words: str) -> int:
    """Run a command on the stack, its output ours; its exit status."""
    command = [sys.executable, "-m", "cloudlet", "-f", str(file), *words]
    return subprocess.run(command, check=False).returncode


def _gateway(file: Path) -> str:
    command = [sys.executable, "-m", "cloudlet", "-f", str(file), "status", "--output", "json"]
    status = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return next(str(address["url"]) for address in status["addresses"] if address["name"] == "gateway http")


async def _demonstrate(options: argparse.Namespace) -> int:
    gateway = await asyncio.to_thread(_gateway, options.file)
    tally = Tally()
    async with httpx.AsyncClient(base_url=gateway, timeout=TIMEOUT, trust_env=False) as client:
        if not options.once:
            console.print(_suggestions(gateway, options.file), highlight=False)
        try:
            await _watch(client, tally, options.orders if options.once else math.inf)
            lost = await missing(client, tally)
        except httpx.HTTPError as error:
            console.print(f"The shop does not answer as it should: {error}")
            return 1
    console.print(f"\n{len(tally.placed)} orders confirmed, {lost} of them lost, {tally.failed} requests failed.")
    for reason, times in tally.failures.items():
        console.print(f"  {times} times {reason}")
    return 1 if tally.failed or lost else 0


async def _watch(client: httpx.AsyncClient, tally: Tally, most: float) -> None:
    """Send orders and show how they fare: a table that changes on a terminal, its last state elsewhere."""
    enough = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, enough.set)
    sending = asyncio.create_task(send(client, tally, CUSTOMERS, RATE, enough, most))
    with Live(_table(tally), console=console, auto_refresh=False) as live:
        while not sending.done():
            await asyncio.wait([sending], timeout=0.25)
            live.update(_table(tally), refresh=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)
    await sending


def _table(tally: Tally) -> Group:
    table = Table("instance", "answers", title="who answered", title_justify="left", min_width=40)
    table.columns[1].justify = "right"
    for instance, answers in sorted(tally.answers.items()):
        table.add_row(instance, f"{answers:,}")
    failures = Text(f"failures {tally.failed}", style="bold red" if tally.failed else "green")
    again = f" · asked again {tally.again}" if tally.again else ""
    placed = Text(f"orders placed {len(tally.placed):,} · sold out {tally.sold_out:,}{again} · ")
    return Group(table, placed + failures)


def _suggestions(gateway: str, file: Path) -> str:
    program = os.path.relpath(Path(sys.executable).with_name("cloudlet"))
    cloudlet = f"{program} -f {os.path.relpath(file)}"
    return f"""
Open [link={gateway}]{gateway}[/link], and in another terminal try:
  {cloudlet} status               # has every process id: kill -9 any of them
  {cloudlet} scale catalogue=4
  {cloudlet} logs -f orders
examples/shop/README.md has more to kill. Ctrl-C takes everything down.
"""


if __name__ == "__main__":
    sys.exit(main())
