"""cloudlet is killed with SIGKILL between every two steps of what it does, and the next one comes to the same end."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway import answering
from tests.support.interrupted import Interrupted
from tests.support.live_stack import LiveStack, until

SMALL = Path(__file__).parents[1] / "support" / "small.py"
PYTHON = sys.executable
ALONE = f"""
name: interrupted
services:
  web:
    command: {PYTHON} small.py
    instances: 2
    environment: {{COLOUR: blue}}
    health: {{path: /health}}
    balance: round-robin
    uses: [sessions]
caches: {{sessions: {{engine: valkey, memory: 16MB}}}}
gateway:
  listen: {{http: 0, https: "off"}}
  routes: [{{path: /web/*, to: web}}]
"""
API = f"""
  api: {{command: {PYTHON} small.py, instances: 2, health: {{path: /health}}, balance: round-robin}}
caches:"""
BOTH = ALONE.replace("\ncaches:", API).replace("routes: [", "routes: [{path: /api/*, to: api}, ")
GREEN = ALONE.replace("blue", "green").replace("routes: [", "routes: [{path: /more/*, to: web}, ")

#: the file reaches the daemon by the API, or (long form) the daemon begins with it
LIVE_OR_NOT = pytest.mark.parametrize(
    "live", [pytest.param(True, id="applied"), pytest.param(False, id="found by the next up", marks=pytest.mark.soak)]
)
Counts = dict[str, int]


class Cuts:
    """One stack whose daemon is killed over and over; knows what it looks like at rest."""

    def __init__(self, stack: LiveStack, daemon: Interrupted) -> None:
        self.stack, self.daemon = stack, daemon
        self.labels: list[str] = []

    def ask(self, path: str, body: dict[str, object]) -> None:
        """Of a daemon that may die over it."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.stack.ask(path, body)

    def apply(self, text: str) -> None:
        self.stack.write(text)
        self.ask("/v1/apply", {"text": text, "file": str(self.stack.file), "yes": True})

    def interrupted(self, wanted: Counts) -> bool:
        """Whether it died before it came to rest."""
        label = self.daemon.died_at(lambda: self.rests(wanted))
        if label:
            self.labels.append(label)
        return bool(label)

    def rests(self, wanted: Counts) -> bool:
        """Whether exactly these instances serve, of the revision wanted, and nothing else is there."""
        status = self.stack.status()
        found = {
            service["name"]: [
                i["phase"] == "serving" and i["revision"] == service["revision"] for i in service["instances"]
            ]
            for service in status["services"]
        }
        return status["state"] == "healthy" and found == {name: [True] * count for name, count in wanted.items()}

    def recover(self, wanted: Counts, *paths: str) -> None:
        """Another daemon comes to what is wanted: every instance answers, and no process is missing or too many."""
        self.daemon.start()
        self.converged(wanted, *paths)

    def converged(self, wanted: Counts, *paths: str) -> None:
        where = f"after an interruption at {self.labels[-1:]}"
        until(lambda: self.rests(wanted), f"{wanted} to serve {where}", 20)
        for path, service in (item.split("=") for item in paths):
            assert answering(self.stack.address(), 2 * wanted[service], path) == set(self.stack.serving(service)), where
        until(lambda: self.running() == self._recorded(), f"exactly the recorded processes to run {where}", 20)

    def _recorded(self) -> list[int]:
        return sorted([*self.stack.processes().values(), self.stack.daemon, self.stack.keeper])

    def running(self) -> list[int]:
        """Every process of the stack that there is: each has its folder in its command line or as its own."""
        folder = os.fsencode(self.stack.folder)
        found = [int(process.name) for process in Path("/proc").glob("[0-9]*") if _is_of(process, folder)]
        with contextlib.suppress(OSError, http.client.HTTPException):
            found.append(self.stack.daemon)  # a fork, with the command line of the process it was forked from
        return sorted(set(found))

    def finish(self, what: str, wanted: Counts, *paths: str) -> None:
        """The command line finds all of it well, and takes it down to the last process."""
        self.daemon.kill()
        self.stack.up("--yes")
        self.converged(wanted, *paths)
        self.stack.cloudlet("down")
        until(lambda: not self.running(), "nothing to run")
        print(f"\n{what}: interrupted at each of {len(self.labels)} steps, converged each time")

    def destroy(self) -> None:
        """As if it had never been."""
        self.daemon.kill()
        for pid in [self.stack.keeper, *self.running()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.running(), "nothing to run")
        shutil.rmtree(self.stack.paths.root)


def _is_of(process: Path, folder: bytes) -> bool:
    try:
        line, directory = (process / "cmdline").read_bytes(), os.fsencode(os.readlink(process / "cwd"))
    except OSError:
        return False
    return bool(line) and (folder in line or directory.startswith(folder))


@pytest.fixture
def cuts(stack_of: Callable[[str], LiveStack]) -> Iterator[Cuts]:
    with stack_of("") as stack:
        shutil.copy(SMALL, stack.folder)
        with Interrupted(stack) as daemon:
            yield Cuts(stack, daemon)


def test_a_first_start(cuts):
    """From nothing, again for every step: whoever comes next brings the whole stack."""
    wanted, paths = {"web": 2, "api": 2}, ("/web/=web", "/api/=api")
    cuts.stack.write(BOTH)
    for at in itertools.count(1):
        cuts.daemon.arm(at)
        cuts.daemon.start()
        if not cuts.interrupted(wanted):
            break
        cuts.recover(wanted, *paths)
        cuts.destroy()
    cuts.finish("first start", wanted, *paths)
    assert len(cuts.labels) >= 20


@pytest.mark.parametrize("count", [4, 1], ids=["out", "in"])
def test_scaling(cuts, count):
    """The count that a command set is what is wanted from then on, however far it was carried out."""
    wanted = {"web": count}
    cuts.stack.write(ALONE)
    cuts.recover({"web": 2})
    for at in itertools.count(1):
        cuts.daemon.arm(at)
        cuts.ask("/v1/scale", {"services": wanted})
        if not cuts.interrupted(wanted):
            break
        cuts.stack.write(ALONE.replace("instances: 2", f"instances: {count}"))
        cuts.recover(wanted, "/web/=web")
        cuts.apply(ALONE)
        until(lambda: cuts.rests({"web": 2}), "two instances again")
    cuts.stack.write(ALONE.replace("instances: 2", f"instances: {count}"))
    cuts.finish("scaling", wanted, "/web/=web")
    assert len(cuts.labels) >= 6


@LIVE_OR_NOT
def test_a_rolling_replacement_with_a_route(cuts, live):
    """A changed service goes out and a route is added: whichever half was done, the rest follows."""
    wanted = {"web": 2}
    texts = itertools.cycle([(GREEN, ("/web/=web", "/more/=web")), (ALONE, ("/web/=web",))])
    cuts.stack.write(ALONE)
    cuts.recover(wanted)
    for at in itertools.count(1):
        text, paths = next(texts)
        if not cut_apply(cuts, at, text, wanted, live=live):
            break
        cuts.recover(wanted, *paths)
    cuts.finish("rolling replacement", wanted, *paths)
    assert len(cuts.labels) >= 18


@LIVE_OR_NOT
def test_the_removal_of_a_service(cuts, live):
    """Its instances drain and go, its route and its backend too, and only then is it forgotten."""
    wanted = {"web": 2}
    cuts.stack.write(BOTH)
    cuts.recover({"web": 2, "api": 2})
    for at in itertools.count(1):
        if not cut_apply(cuts, at, ALONE, wanted, live=live):
            break
        cuts.recover(wanted, "/web/=web")
        cuts.apply(BOTH)
        until(lambda: cuts.rests({"web": 2, "api": 2}), "both services again")
    cuts.finish("removal of a service", wanted, "/web/=web")
    assert len(cuts.labels) >= 12


def cut_apply(cuts: Cuts, at: int, text: str, wanted: Counts, *, live: bool) -> bool:
    """Whether a daemon died that was given this file: by the API, or as what it begins with."""
    if live:
        cuts.daemon.arm(at)
        cuts.apply(text)
    else:
        cuts.daemon.kill()
        cuts.stack.write(text)
        cuts.daemon.arm(at)
        cuts.daemon.start()
    return cuts.interrupted(wanted)
