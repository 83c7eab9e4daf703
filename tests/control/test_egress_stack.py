"""A whole stack with `egress`, in a network namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")
@pytest.mark.skipif(
    not all(map(shutil.which, ("nft", "ip", "unshare", "nsenter"))), reason="nft, ip or unshare is missing"
)
def test_services_go_out_by_the_proxy_alone_through_deaths_and_changes():
    """Refused directly and by rule, let through where allowed: also when cloudlet was killed and is up again, and while
    each instance of the proxy is killed; advisory opens the way and says so; `down` leaves no rule behind."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.control.enforced_stack"],
        capture_output=True,
        text=True,
        timeout=170,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["enforced"] == found["adopted"] == ["Connection refused", "200", "403"]
    assert found["cloudlet dead"], "the rules outlive cloudlet"
    assert found["proxy killed"] == ["200", "200"]
    assert found["advisory"] == ["through", "200", "403"]
    assert not any("advisory" in text for text in found["warnings"])
    assert any("advisory" in text for text in found["advisory warnings"])
    assert found["again"] == "Connection refused"
    assert ["198.51.100.2:8001", 403, "allowed by no rule for this port"] in found["log"]
    assert found["after"] == []
