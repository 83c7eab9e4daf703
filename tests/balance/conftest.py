"""An edge on real upstreams, and whole stacks of instances that behave as they are told."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.edge.conftest import harness
from tests.support.live_stack import LiveStack

__all__ = ["BehavingStack", "harness"]

APP = Path(__file__).with_name("app.py")


class BehavingStack(LiveStack):
    """`{app}` in the text is a service's command, health and environment."""

    def __init__(self, text: str) -> None:
        super().__init__("")
        shutil.copy(APP, self.folder / "app.py")
        self.behaviour = self.folder / "behaviour"
        self.behaviour.mkdir(mode=0o755)
        app = (
            f"command: {sys.executable} app.py\n    environment: {{BEHAVIOUR: {self.behaviour}}}\n"
            "    health: {path: /health, interval: 100ms, fall: 2}"
        )
        self.write(text.replace("{app}", app))

    def behave(self, instance: str, **how: Any) -> None:
        """From the next request on, and in place of what was said before."""
        new = self.behaviour / f"{instance}.new"
        new.write_text(json.dumps(how))
        new.rename(self.behaviour / f"{instance}.json")

    def release(self) -> None:
        """End what /hold holds."""
        (self.behaviour / "released").touch()
