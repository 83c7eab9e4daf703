"""Rate limits of a whole stack, and who is near them."""

from __future__ import annotations

import json
import time

from tests.support.gateway import get
from tests.support.live_stack import LiveStack, until

FILE = """\
name: limits
services:
  web:
    command: python3 -m http.server {{port}} --bind 127.0.0.1
    instances: {instances}
gateway:
  listen: {{http: 0, https: off}}
  routes:
    - path: /*
      to: web
      rate_limits:
        - {{rate: 1/m, algorithm: token-bucket, burst: 4}}
        - {{rate: 3/h, algorithm: sliding-log, per: "header:X-Tenant"}}
"""


def statuses(stack: LiveStack, count: int) -> list[int]:
    return [get(stack.address())[0] for _ in range(count)]


def test_limits_hold_and_are_shown() -> None:
    """The file alone brings the store, `limit ls` shows who is near, and the next process of the edge knows too."""
    with LiveStack(FILE.format(instances=1)) as stack:
        stack.up()
        began = time.monotonic()
        assert statuses(stack, 5) == [200, 200, 200, 429, 429]
        rows = json.loads(stack.cloudlet("limit", "ls", "--output", "json").stdout)["limits"]
        assert [(row["limit"], row["used"], row["quota"], row["route"]) for row in rows] == [
            ("X-Tenant-3/h", 3, 3, "/*"),
            ("client-1/m", 3, 4, "/*"),
        ]
        assert "X-Tenant-3/h" in stack.cloudlet("limit", "ls", "--above", "90%").stdout
        assert stack.cloudlet("limit", "ls", "--above", "lots", check=False).returncode == 2
        until(lambda: time.monotonic() > began + 6, "the edge to be able to hand its counts over")
        stack.write(FILE.format(instances=1).replace("3/h", "9/h"))
        stack.up("--yes")
        assert statuses(stack, 3) == [200, 429, 429]
