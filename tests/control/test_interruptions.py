"""cloudlet is killed with SIGKILL between every two steps of what it does, and the next one comes to the same end."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway import answering
from tests.support.interrupted import Interrupted
from tests.support.live_stack import LiveStack, until

SMALL = Path(__file__).parents[1] / "support" / "small.py"
STACK = """
name: interrupted
services:
  web:
    command: {python} small.py
    instances: 2
    environment: {{COLOUR: blue}}
    health: {{path: /health}}
    balance: round-robin
    uses: [sessions]
{api}
caches: {{sessions: {{engine: valkey, memory: 16MB}}}}
gateway:
  listen: {{http: 0, https: "off"}}
  routes: [{route}{{path: /web/*, to: web}}]
"""
API = """
  api:
    command: {python} small.py
    instances: 2
    health: {{path: /health}}
    balance: round-robin
"""
API_ROUTE = "{{path: /api/*, to: api}}, "
ADDED_ROUTE = "{{path: /more/*, to: web}}, "
ALONE = STACK.replace("{api}", "").replace("{route}", "")
BOTH = STACK.replace("{api}", API.strip("\n")).replace("{route}", API_ROUTE)


class Cuts:
    """One stack that is interrupted over and over; knows how to find it at rest."""

    def __init__(self, stack: LiveStack, daemon: Interrupted, fill: Callable[[str], str]) -> None:
        self.stack, self.daemon = stack, daemon
        self._fill = fill
        self.labels: list[str] = []

    def write(self, text: str) -> None:
        self.stack.write(self._fill(text))

    def begin_unarmed(self, at: int) -> None:
        """The daemon that will die takes over from whoever looks after the stack now."""
        self.kill_cloudlet()
        self.daemon.start(at, armed=False)
        until(lambda: self.stack.status()["state"] == "healthy", "the daemon to have adopted the stack")

    def kill_cloudlet(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.stack.daemon, signal.SIGKILL)

    def act(self, what: Callable[[], object]) -> None:
        """Ask for something of a daemon that may die over it."""
        self.daemon.arm()
        with contextlib.suppress(OSError, http.client.HTTPException):
            what()

    def interrupted(self, done: Callable[[], bool]) -> bool:
        """Whether it died before all was done."""
        label = self.daemon.died_at(done)
        if label:
            self.labels.append(label)
        return bool(label)

    def rests(self, wanted: dict[str, int]) -> bool:
        """Whether exactly these instances serve and nothing else is there."""
        status = self.stack.status()
        found = {
            service["name"]: [i["phase"] == "serving" and i["revision"] == service["revision"] for i in service["instances"]]
            for service in status["services"]
        }
        return status["state"] == "healthy" and found == {name: [True] * count for name, count in wanted.items()}

    def converged(self, wanted: dict[str, int], paths: dict[str, str]) -> None:
        """What another `up` has to come to: the instances wanted, each answering, and no process too many."""
        until(lambda: self.rests(wanted), f"{wanted} to serve after an interruption at {self.labels[-1:]}")
        for path, service in paths.items():
            names = set(self.stack.serving(service))
            assert answering(self.stack.address(), 2 * wanted[service], path) == names, self.labels[-1:]
        until(lambda: self._running() == self._recorded(), f"exactly {self._recorded()}, not {self._running()}", 10)

    def _recorded(self) -> list[int]:
        return sorted([*self.stack.processes().values(), self.stack.daemon, self.stack.keeper])

    def _running(self) -> list[int]:
        """Every process of the stack that there is, by its folder."""
        folder = os.fsencode(self.stack.folder)
        return sorted(int(process.name) for process in Path("/proc").glob("[0-9]*") if _is_of(process, folder))

    def nothing_runs(self) -> None:
        until(lambda: not self._running(), f"nothing to run, {self._running()} does")

    def report(self, what: str) -> None:
        print(f"\n{what}: interrupted at each of {len(self.labels)} steps, converged each time")


def _is_of(process: Path, folder: bytes) -> bool:
    try:
        return folder in (process / "cmdline").read_bytes() or os.fsencode(os.readlink(process / "cwd")).startswith(folder)
    except OSError:
        return False


@pytest.fixture
def cuts(stack_of) -> Iterator[Cuts]:
    import sys

    with stack_of("") as stack:
        shutil.copy(SMALL, stack.folder)
        with Interrupted(stack) as daemon:
            yield Cuts(stack, daemon, lambda text: text.format(python=sys.executable))


WEB_AND_API = {"/web/": "web", "/api/": "api"}


def test_a_first_start(cuts):
    """From nothing, again for every step: `up` after it brings the whole stack, `down` leaves nothing."""
    wanted = {"web": 2, "api": 2}
    cuts.write(BOTH)
    for at in itertools.count(1):
        shutil.rmtree(cuts.stack.paths.root, ignore_errors=True)
        cuts.daemon.start(at, armed=True)
        if not cuts.interrupted(lambda: cuts.rests(wanted)):
            break
        cuts.stack.up()
        cuts.converged(wanted, WEB_AND_API)
        cuts.stack.cloudlet("down")
        cuts.nothing_runs()
    cuts.report("first start")
    assert len(cuts.labels) >= 12


def test_scaling_out_and_in(cuts):
    """A count that a command set is what is wanted, however far it was carried out."""
    cuts.write(ALONE)
    cuts.stack.up()
    for wanted in (4, 1):
        cut_scale(cuts, wanted)
    cuts.report("scaling out and in")
    assert len(cuts.labels) >= 14


def cut_scale(cuts: Cuts, wanted: int) -> None:
    for at in itertools.count(1):
        cuts.begin_unarmed(at)
        cuts.act(lambda: cuts.stack.ask("/v1/scale", {"services": {"web": wanted}}))
        if not cuts.interrupted(lambda: cuts.rests({"web": wanted})):
            return
        cuts.write(ALONE.replace("instances: 2", f"instances: {wanted}"))
        cuts.stack.up()
        cuts.converged({"web": wanted}, {"/web/": "web"})
        cuts.write(ALONE)
        cuts.stack.up("--yes")
        until(lambda: cuts.rests({"web": 2}), "two instances again")


@pytest.mark.parametrize("live", [True, False], ids=["applied", "found by the next up"])
def test_a_rolling_replacement_with_a_route(cuts, live):
    """A changed service goes out and a route is added: whichever half was done, the rest follows."""
    texts = itertools.cycle(
        [
            (ALONE.replace("blue", "green").replace("routes: [", "routes: [" + ADDED_ROUTE), {"/web/": "web", "/more/": "web"}),
            (ALONE, {"/web/": "web"}),
        ]
    )
    cuts.write(ALONE)
    cuts.stack.up()
    for at in itertools.count(1):
        text, paths = next(texts)
        if not cut_apply(cuts, at, text, {"web": 2}, live=live):
            break
        cuts.stack.up()
        cuts.converged({"web": 2}, paths)
    cuts.report("rolling replacement")
    assert len(cuts.labels) >= 18


@pytest.mark.parametrize("live", [True, False], ids=["applied", "found by the next up"])
def test_the_removal_of_a_service(cuts, live):
    """Its instances drain and go, its route and its backend too, and only then is it forgotten."""
    for at in itertools.count(1):
        cuts.write(BOTH)
        cuts.stack.up()
        if not cut_apply(cuts, at, ALONE, {"web": 2}, live=live):
            break
        cuts.stack.up()
        cuts.converged({"web": 2}, {"/web/": "web"})
    cuts.report("removal of a service")
    assert len(cuts.labels) >= 12


def cut_apply(cuts: Cuts, at: int, text: str, wanted: dict[str, int], *, live: bool) -> bool:
    """Whether a daemon died that was given this file, by the API or as what it begins with."""
    if live:
        cuts.begin_unarmed(at)
        cuts.write(text)
        applied = {"text": cuts.stack.file.read_text(), "file": str(cuts.stack.file), "yes": False}
        cuts.act(lambda: cuts.stack.ask("/v1/apply", applied))
    else:
        cuts.kill_cloudlet()
        cuts.write(text)
        cuts.daemon.start(at, armed=True)
    return cuts.interrupted(lambda: cuts.rests(wanted))
