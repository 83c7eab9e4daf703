"""Whole stacks for the fault tests."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.support.live_stack import LiveStack


@pytest.fixture
def stack_of() -> Callable[[str], LiveStack]:
    """Makes a stack from a text in which {python} and {posted} are filled in."""

    def make(text: str) -> LiveStack:
        stack = LiveStack("")
        posted = stack.folder / "posted"
        posted.touch()
        posted.chmod(0o666)
        stack.write(text.format(python=sys.executable, posted=posted))
        return stack

    return make
