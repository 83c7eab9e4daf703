"""What the HAProxy at hand was built with; the edge, which runs it, offers only that."""

from __future__ import annotations

import re
from pathlib import Path

from cloudlet.engines.locate import ask


def features(path: Path) -> frozenset[str]:
    """The names in its feature list that are on, as it writes them: `QUIC`, `LUA`, `PROMEX`, …"""
    listed = re.search(r"^Feature list : (.*)$", ask(path, ("-vv",)), re.MULTILINE)
    return frozenset(name[1:] for name in listed[1].split() if name.startswith("+")) if listed else frozenset()
