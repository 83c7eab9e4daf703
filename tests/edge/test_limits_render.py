"""What limits add to HAProxy's configuration, held by a golden file.

Write it anew with `CLOUDLET_GOLDEN=write pytest tests/edge/test_limits_render.py`, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.contracts.limits import LimitStore
from cloudlet.edge.limits.store import DATA
from cloudlet.edge.steps import Fragment, limit_addresses, limit_identities
from cloudlet.stack.gateway import Gateway

from .limits import limit, limited

_GOLDEN = Path(__file__).parent / "golden" / "limits.txt"
_EVERYTHING = EdgeConfiguration(
    routes=(
        limited("/open/*"),
        limited("/a/*", limit("fixed-window", "100/m"), limit("token-bucket", "10/s", "user", 20)),
        limited("/b/*", limit("fixed-window", "100/m"), limit("token-bucket", "10/s", "user", 20)),
        limited("/log", limit("sliding-log", "50/h", "key"), limit("leaky-bucket", "7/s", "endpoint", 3)),
    ),
    gateway=Gateway(rate_limits=(limit("sliding-counter", "1000/s", "header:X-Tenant"),)),
    limit_store=LimitStore("127.0.0.1", 6379, "edge", 'a"b'),
)


def _text(fragment: Fragment) -> str:
    parts = [*fragment.process, f"counters {fragment.counters}", *fragment.rules, "", *fragment.answers]
    maps = [f"{name}: {dict(entries)}" for name, entries in fragment.maps.items()]
    files = [f"--- {name}\n{text}" for name, text in fragment.files.items() if name == DATA]
    return "\n".join([*parts, "", *fragment.sections, *maps, *files])


def test_renders_as_the_golden_file_says() -> None:
    """Equal limits share their rules; what is unique is written in place of a variable."""
    steps = (limit_addresses, limit_identities)
    found = "\n==== \n".join(_text(step.fragment(_EVERYTHING)) for step in steps) + "\n"
    if os.environ.get("CLOUDLET_GOLDEN") == "write":
        _GOLDEN.write_text(found)
    assert found == _GOLDEN.read_text()
