"""Instances that misbehave, and requests that cannot be met: what cloudlet does and says, through the command line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.gateway import answering, get
from tests.support.live_stack import LiveStack, until

BADLY = Path(__file__).parents[1] / "support" / "badly.py"
PYTHON = sys.executable


def text_of(mode: str, *, command: str = "", count: str = "1", port: int = 0, more: str = "") -> str:
    return f"""
name: misbehaving
services:
  web:
    command: {command or f"{PYTHON} badly.py {mode}"}
    instances: {count}
    balance: round-robin
    {more or "health: {path: /health, interval: 100ms}"}
gateway:
  listen: {{http: {port}, https: "off"}}
  routes: [{{path: /*, to: web}}]
"""


@pytest.fixture
def stack(stack_of: Callable[[str], LiveStack]) -> Iterator[LiveStack]:
    with stack_of("") as live:
        shutil.copy(BADLY, live.folder)
        yield live


def run(stack: LiveStack, text: str, *arguments: str) -> None:
    """Begin without waiting for health."""
    stack.write(text)
    stack.cloudlet("up", "-d", *arguments)


def web(stack: LiveStack):
    return stack.status()["services"][0]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# processes that end


@pytest.mark.parametrize("command", ["false", "'true'"], ids=["status 1", "status 0"])
def test_a_crash_loop_is_detected_and_said(stack, command):
    """A command that ends at once, well or badly, is restarted ever later, and status and journal say so."""
    run(stack, text_of("", command=command))
    until(lambda: web(stack)["state"] == "crash-looping", "the crash loop to be seen")
    status = stack.status()
    assert status["state"] == "degraded"
    [instance] = web(stack)["instances"]
    assert instance["phase"] == "backoff"
    assert "exited with status" in instance["because"]
    assert "in a row" in instance["because"]
    assert stack.events("crash loop")[0]["level"] == "error"
    ended = [entry["at"] for entry in stack.ask("/v1/events") if entry["event"] in ("process ended", "crash loop")]
    gaps = [later - earlier for earlier, later in pairwise(ended)]
    assert gaps[-1] > gaps[0] * 3, gaps
    assert "crash-looping" in stack.cloudlet("status").stdout


def test_up_gives_up_waiting_for_a_crash_loop_and_shows_why(stack):
    """`up -d --wait` exits 6 when waiting on is of no use, with the reason and the instance's last words."""
    stack.write(text_of("", command=f"{PYTHON} -c 'raise SystemExit(\"no licence found\")'"))
    done = stack.cloudlet("up", "-d", "--wait", check=False)
    assert done.returncode == 6
    assert "web-1" in done.stderr
    assert "no licence found" in done.stderr


def test_an_instance_that_never_answers_is_given_up_and_started_again(stack):
    """After `start_within` its process is killed and another one begins."""
    run(stack, text_of("deaf", more="health: {path: /health, start_within: 300ms}"))
    first = until(lambda: web(stack)["instances"][0]["pid"], "a process")
    again = until(lambda: p if (p := web(stack)["instances"][0]["pid"]) not in (None, first) else None, "another")
    assert not alive(first)
    assert again != first
    assert "within 0.3 s" in stack.events("given up")[0]["because"]


def test_an_unhealthy_instance_leaves_rotation_and_returns(stack):
    """Its process is left alone: traffic goes to the others until its check succeeds again."""
    stack.write(text_of("healthy", count="3"))
    stack.up()
    before, address, sick = stack.processes(), stack.address(), stack.folder / "sick-web-2"
    sick.touch()
    until(lambda: stack.instances("web")["web-2"]["phase"] == "unhealthy", "web-2 to be found unhealthy")
    assert "503" in stack.instances("web")["web-2"]["because"]
    assert web(stack)["state"] == "degraded"
    assert answering(address, 12) == {"web-1", "web-3"}
    sick.unlink()
    until(lambda: web(stack)["state"] == "healthy", "web-2 to be healthy again")
    assert answering(address, 12) == {"web-1", "web-2", "web-3"}
    assert stack.processes() == before


# processes that do not end


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(stack):
    """SIGTERM, `grace`, SIGKILL; not earlier and not much later."""
    stack.write(text_of("stubborn", count="2", more="stop: {drain: 1s, grace: 700ms}"))
    stack.up()
    pid = stack.instances("web")["web-2"]["pid"]
    stack.cloudlet("scale", "web=1")
    stopping = until(lambda: stack.events("stopping"), "its end to begin")[0]["at"]
    gone = until(lambda: stack.events("gone"), "its end")[0]
    assert gone["because"] == "killed by signal 9"
    assert 0.6 < gone["at"] - stopping < 5
    assert not alive(pid)


@pytest.mark.parametrize("how", ["down", "crash"])
def test_a_whole_family_ends_with_its_parent(stack, how):
    """Children and grandchildren that ignore SIGTERM do not outlive the instance, however it ends."""
    stack.write(text_of("parent", more="stop: {grace: 300ms}"))
    stack.up()

    def printed() -> list[int]:
        rows = map(json.loads, stack.cloudlet("logs", "--output", "json").stdout.splitlines())
        return [int(row["line"]) for row in rows if row["line"].isdigit()]

    family = until(lambda: found if len(found := printed()) == 2 else None, "a child and a grandchild")
    parent = stack.instances("web")["web-1"]["pid"]
    assert all(map(alive, [parent, *family]))
    if how == "down":
        stack.cloudlet("down")
    else:
        os.kill(parent, signal.SIGKILL)
    until(lambda: not any(map(alive, [parent, *family])), "the whole family to be gone")


def test_a_memory_limit_is_enforced_or_said_not_to_be(stack):
    """Over its limit an instance is killed and its log says why; where the machine has no cgroups, status says so."""
    run(stack, text_of("greedy", more="resources: {memory: 64MB}"))
    until(lambda: stack.events("process ended") or web(stack)["ready"] == 1, "the limit to hold or not to")
    if stack.events("process ended"):
        assert "killed by signal 9" in stack.events("process ended")[0]["because"]
        assert "more memory than its limit" in stack.cloudlet("logs", "web").stdout
    else:
        assert [warning for warning in stack.status()["warnings"] if "memory" in warning]


# what cannot be


def test_a_taken_port_is_refused_and_nothing_starts(stack):
    """Exit status 7, the address and what to do about it; no process is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack.write(text_of("healthy", port=port))
        done = stack.cloudlet("up", "-d", "--wait", check=False)
        assert done.returncode == 7
        assert f"127.0.0.1:{port}" in done.stderr
        assert "change the port in the file" in done.stderr
        until(lambda: not of_folder(stack), "nothing to run")
    stack.up()
    assert get(stack.address())[0] == 200


def of_folder(stack: LiveStack) -> list[int]:
    """Processes with the stack's folder in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(stack.folder) in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def test_a_second_up_changes_nothing_that_is_as_it_should_be(stack):
    """In the same folder it talks to the cloudlet that runs; a second daemon is refused."""
    stack.write(text_of("healthy", count="2"))
    stack.up()
    before, daemon = stack.processes(), stack.daemon
    stack.up()
    assert (stack.processes(), stack.daemon) == (before, daemon)
    command = [PYTHON, "-m", "cloudlet.control", "--file", str(stack.file)]
    second = subprocess.run(command, input="start\n", capture_output=True, text=True, timeout=30)
    assert second.returncode == 7
    assert "another cloudlet looks after" in second.stderr
    assert (stack.processes(), stack.daemon) == (before, daemon)


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("name:", "nmae:", 3), ("to: web", "to: wbe", 3), ("services:", "services", 3), ("http: 0", "http: {taken}", 7)],
    ids=["a key", "a name", "syntax", "an address"],
)
def test_up_of_a_broken_edit_changes_nothing(stack, old, new, status):
    """What cannot be is refused as a whole: the stack that runs goes on as it was."""
    text = text_of("healthy", count="2")
    stack.write(text)
    stack.up()
    before, config = stack.processes(), stack.cloudlet("config").stdout
    with socket.create_server(("127.0.0.1", 0)) as taken:
        broken = text.replace(old, new.replace("{taken}", str(taken.getsockname()[1])), 1)
        stack.write(broken.replace("instances: 2", "instances: 3"))
        done = stack.cloudlet("up", "-d", "--wait", check=False)
    assert done.returncode == status, done.stderr
    assert stack.processes() == before
    assert stack.cloudlet("config").stdout == config
    assert answering(stack.address(), 4) == {"web-1", "web-2"}


def test_a_dry_run_changes_nothing(stack):
    """It prints what would be, before there is a stack and beside one that runs."""
    text = text_of("healthy")
    stack.write(text)
    assert "web" in stack.cloudlet("up", "--dry-run").stdout
    assert not of_folder(stack)
    stack.up()
    before = stack.processes()
    stack.write(text.replace("instances: 1", "instances: 3"))
    assert "1 → 3 instances" in stack.cloudlet("up", "--dry-run").stdout
    assert web(stack)["wanted"] == 1
    assert stack.processes() == before


def test_scaling_beyond_what_the_file_allows_is_refused(stack):
    """Exit status 7, with the bounds; what runs stays."""
    stack.write(text_of("healthy", count="{min: 1, max: 3}"))
    stack.up()
    for count in (4, 0):
        done = stack.cloudlet("scale", f"web={count}", check=False)
        assert done.returncode == 7
        assert "1 to 3" in done.stderr
    assert web(stack)["wanted"] == 1
    assert stack.cloudlet("scale", "wbe=2", check=False).returncode == 7


def test_up_asks_before_it_takes_a_scale_back(stack):
    """With nobody to ask it exits 7 and changes nothing; `--yes` takes it back, and so does a file that agrees."""
    stack.write(text_of("healthy", count="2"))
    stack.up()
    stack.cloudlet("scale", "web=3")
    until(lambda: len(stack.serving("web")) == 3, "three instances")
    done = stack.cloudlet("up", "-d", "--wait", check=False)
    assert done.returncode == 7
    assert "web was scaled to 3 by a command; the file says 2" in done.stderr
    assert "--yes" in done.stderr
    assert web(stack)["wanted"] == 3
    refused = stack.ask("/v1/apply", {"text": stack.file.read_text(), "file": str(stack.file), "yes": False})
    assert (refused["kind"], refused["exit_code"]) == ("Refused", 7)
    stack.up("--yes")
    until(lambda: len(stack.instances("web")) == 2, "two instances")
    assert web(stack)["wanted_by"] == "file"
