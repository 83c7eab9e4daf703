"""Static answers whose bodies are files."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.live_stack import LiveStack, until

STACK = """
name: static
services:
  web: {command: "python3 -m http.server --bind 127.0.0.1 {port}"}
gateway:
  listen: {http: 0, https: "off"}
  routes: [{path: /terms, static: {file: terms.txt}}]
"""


@pytest.fixture
def stack() -> Iterator[LiveStack]:
    live = LiveStack(STACK)
    (live.folder / "terms.txt").write_text("old")
    with live:
        live.up()
        yield live


def body(stack: LiveStack) -> str:
    with urllib.request.urlopen(f"{stack.address()}/terms", timeout=20) as answer:
        return str(answer.read().decode())


def test_a_changed_file_is_answered_with_and_one_that_is_gone_goes_on(stack: LiveStack) -> None:
    """Nobody runs a command: the file itself is what counts, for as long as there is one."""
    assert body(stack) == "old"
    (stack.folder / "terms.txt").write_text("something new")
    until(lambda: body(stack) == "something new", "the new terms")
    (stack.folder / "terms.txt").unlink()
    stack.cloudlet("status")
    assert body(stack) == "something new"
