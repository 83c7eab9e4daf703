"""Outbound, seen from the control side: the proxy as a service, what instances are told, and the direct way closed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloudlet.contracts.egress import CONFIGURATION, digest
from cloudlet.contracts.paths import StatePaths
from cloudlet.control import enforcement
from cloudlet.control.egress import EGRESS, Outbound, confined, warnings
from cloudlet.control.enforcement import Enforcement, ruleset
from cloudlet.control.topology import internal_names, internal_socket
from cloudlet.errors import DependencyError
from cloudlet.gateway.private_file import read
from cloudlet.identity.secrets import Secrets
from cloudlet.stack import Stack, parse

FILE = """
name: shop
services:
  orders: {command: python3, protocol: none}
  mailer: {command: python3, protocol: none}
egress:
  mode: MODE
  default: {allow: [api.example.com]}
  cache: 64MB
  services:
    mailer: {allow: ["mail.example.com:587"]}
"""
OUTSIDE = Path(__file__).with_name("outside.py")


def stack(folder: Path, mode: str = "advisory", text: str = FILE) -> Stack:
    return parse(text.replace("MODE", mode), folder / "cloudlet.yaml")


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    found = StatePaths.beside(tmp_path / "cloudlet.yaml")
    found.create()
    return found


@pytest.fixture
def outbound(paths: StatePaths) -> Outbound:
    return Outbound(paths, Secrets(paths.secrets))


def test_every_service_of_the_file_uses_the_proxy_and_the_proxy_does_not(outbound, tmp_path):
    """So that it has one internal listener, passed through as TCP, and they are of a new revision."""
    completed = outbound.complete(stack(tmp_path))
    assert {name: service.uses for name, service in completed.services.items()} == {
        "orders": (EGRESS,),
        "mailer": (EGRESS,),
        EGRESS: (),
    }
    assert internal_names(completed) == [EGRESS]
    assert internal_socket(completed, EGRESS, 0).mode == "tcp"
    assert completed.services[EGRESS].protocol == "tcp"
    assert confined(completed) == ["orders", "mailer"]


def test_a_file_without_egress_is_left_alone(outbound, tmp_path):
    """Nothing is added, nothing is written."""
    plain = stack(tmp_path, text="name: shop\nservices: {orders: {command: python3, protocol: none}}\n")
    assert outbound.complete(plain) is plain
    outbound.write(plain, None)
    assert not (tmp_path / ".cloudlet" / "own").exists()
    assert warnings(plain) == []


def test_the_proxy_reads_what_was_written_and_knows_each_service_by_its_credential(outbound, paths, tmp_path):
    """The file is private and holds no secret; what an instance is told opens exactly its own rules."""
    given = stack(tmp_path)
    completed = outbound.complete(given)
    outbound.write(given, None)
    file = Path(completed.services[EGRESS].command[-1])
    configuration = read(file, CONFIGURATION, EGRESS)
    assert configuration == CONFIGURATION.validate_json(file.read_bytes())
    assert configuration.rules["orders"].allow == ("api.example.com",)
    assert configuration.rules["mailer"].allow == ("mail.example.com:587",)
    assert configuration.cache == 32_000_000
    told = outbound.environment(given, "orders", "127.0.0.1", 4000)
    assert told["HTTP_PROXY"] == told["http_proxy"] == told["HTTPS_PROXY"] == told["https_proxy"]
    user, _, secret = told["HTTP_PROXY"].removeprefix("http://").removesuffix("@127.0.0.1:4000").partition(":")
    assert configuration.credentials[digest(user, secret)] == "orders"
    assert secret not in file.read_text()
    assert "shop.localhost" in told["NO_PROXY"] and told["NO_PROXY"] == told["no_proxy"]


def test_changed_rules_are_a_new_revision_of_the_proxy_alone(outbound, tmp_path):
    """By the name of its file; the services need not start again."""
    before = outbound.complete(stack(tmp_path))
    again = outbound.complete(stack(tmp_path))
    after = outbound.complete(stack(tmp_path, text=FILE.replace("api.example.com", "other.example.com")))
    assert before.services == again.services
    assert before.services[EGRESS].revision != after.services[EGRESS].revision
    assert before.services["orders"].revision == after.services["orders"].revision


def test_advisory_is_said_and_enforced_is_not(tmp_path):
    """A line for `status`."""
    assert warnings(stack(tmp_path)) == [
        "egress is advisory: services are told the proxy, and nothing keeps them from going around it"
    ]
    assert warnings(stack(tmp_path, "enforced")) == []


def test_what_cannot_be_enforced_is_told_with_the_reason_and_the_fix(paths, tmp_path, monkeypatch):
    """Not root; no nft; nft without the right. Advisory has no problem anywhere."""
    enforcing = Enforcement(paths)
    wanted = stack(tmp_path, "enforced")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "cloudlet is not root" in str(enforcing.problem(wanted))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(enforcement, "_nft", lambda: None)
    assert "install nftables, or set egress.mode to advisory" in str(enforcing.problem(wanted))
    assert enforcing.problem(stack(tmp_path)) is None
    refusing = tmp_path / "nft"
    refusing.write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(enforcement, "_nft", lambda: str(refusing))
    assert "Operation not permitted; give this container CAP_NET_ADMIN" in str(enforcing.problem(wanted))
    with pytest.raises(DependencyError, match="Operation not permitted"):
        enforcing.apply("shop", [61_184])


def test_the_rules_are_one_transaction_in_a_table_of_the_stack(paths):
    """The old table goes and the new one comes in one step; the name tells stack and folder."""
    text = ruleset("cloudlet-shop-0a1b2c3d", [61_185, 61_184])
    assert text.splitlines()[:2] == ["table inet cloudlet-shop-0a1b2c3d {}", "delete table inet cloudlet-shop-0a1b2c3d"]
    assert "elements = { 61184, 61185 }" in text
    other = Enforcement(StatePaths(paths.root.parent / "b" / ".cloudlet"))
    assert Enforcement(paths).table("shop") != other.table("shop")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")
@pytest.mark.skipif(
    not all(map(shutil.which, ("nft", "ip", "unshare", "nsenter"))), reason="nft, ip or unshare is missing"
)
def test_the_direct_way_is_closed_for_services_and_for_nobody_else():
    """In a network namespace of the test's own, with another machine beyond a cable: TCP, UDP, IPv6 and DNS, also to a
    resolver on this machine; refused at once, not dropped. What is local stays open, and all is when it is removed."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, str(OUTSIDE)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    everything = dict.fromkeys(("tcp", "tcp6", "udp", "dns", "local dns", "local"), "through")
    barred = dict.fromkeys(("udp", "dns", "local dns"), "Operation not permitted")
    refused = {"tcp": "Connection refused", "tcp6": "Connection refused", **barred, "local": "through"}
    assert found["before"] == everything
    assert found["closed"] == found["still"] and len(found["closed"]) == 1
    assert found["service"] == refused
    assert found["other"] == refused
    assert found["proxy"] == everything
    assert found["root"] == everything
    assert found["left"] == everything
    assert found["after"] == everything
    assert found["tables"] == ""
