"""What a running stack refuses, and what it shows of its routes, through the real command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.live_stack import CLOUDLET, LiveStack

STACK = """
name: refusals
services:
  front: {{command: {python} app.py, health: {{path: /}}}}
gateway:
  listen: {{http: 0, https: "off"}}
  routes: [{{path: /api/*, to: front}}]
"""
REFUSED = 7


@pytest.fixture(scope="module")
def stack() -> Iterator[LiveStack]:
    with LiveStack(STACK.format(python=sys.executable)) as live:
        live.up()
        yield live


def test_another_file_of_the_folder_is_refused(stack):
    """One folder is one stack: `-f other.yaml up` changes nothing of what runs from cloudlet.yaml."""
    other = stack.folder / "other.yaml"
    other.write_text(stack.file.read_text().replace("refusals", "other"))
    for more in ((), ("--dry-run",)):
        done = subprocess.run(
            [CLOUDLET, "-f", "other.yaml", "up", *more], capture_output=True, text=True, cwd=stack.folder
        )
        assert done.returncode == REFUSED, done
        assert f"runs from {stack.file}" in done.stderr
    answer = stack.ask("/v1/apply", {"text": other.read_text(), "file": str(other)})
    assert answer["kind"] == "Refused"
    assert stack.status()["name"] == "refusals"


def test_the_same_file_by_another_name_is_the_same(stack):
    """A relative path and a path through a link name the file that runs."""
    link = stack.folder / "link.yaml"
    link.symlink_to(stack.file)
    for name in ("cloudlet.yaml", "./link.yaml"):
        done = subprocess.run([CLOUDLET, "-f", name, "up", "-d"], capture_output=True, text=True, cwd=stack.folder)
        assert done.returncode == 0, done.stderr


def test_a_changed_protocol_is_refused_while_instances_answer(stack):
    """They would be spoken to wrongly until they are replaced; a service without any may change."""
    text = stack.file.read_text()
    try:
        stack.write(text.replace("health:", "protocol: http2, health:"))
        done = stack.cloudlet("up", check=False)
        assert done.returncode == REFUSED
        assert "front changes its protocol from http to http2" in done.stderr
        assert stack.cloudlet("up", "--dry-run", check=False).returncode == REFUSED
    finally:
        stack.write(text)
    assert set(stack.serving("front")) == {"front-1"}


def test_config_shows_the_routes(stack):
    """The maps that HAProxy looks routes up in follow its configuration, as comments."""
    shown = stack.cloudlet("config").stdout
    assert "frontend gateway" in shown
    maps = [line for line in shown.partition("# routes-")[2].splitlines() if "/api" in line]
    assert all(line.startswith("# ") for line in maps)
    assert any(line.endswith(" front") for line in maps)


def test_the_lock_can_be_held_by_its_owner_only(stack):
    """Another user who could open it could keep cloudlet from running."""
    assert (stack.paths.root / "daemon.lock").stat().st_mode & 0o777 == 0o600
