"""A user's certificate is renewed while a stack answers: the next connections have it, and nobody notices."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from cloudlet.edge.certificates.files import pem
from cloudlet.edge.certificates.issuing import issue_authority, issue_certificate
from cloudlet.load import LoadPlan
from tests.support.live_stack import LiveStack, until
from tests.support.load import load, said

STACK = """
name: renewed
services:
  web:
    command: {python} app.py
    instances: 2
    environment: {{POSTED: {posted}}}
    health: {{path: /health}}
gateway:
  listen: {{http: 0, https: 0}}
  routes: [{{path: /*, to: web}}]
edge: {{certificates: [own.pem]}}
"""
ISSUER = issue_authority(["shop.test"], datetime.now(UTC))


def renew(file: Path) -> int:
    """Write another certificate; its serial number."""
    certificate, key = issue_certificate(ISSUER, ["shop.test"], datetime.now(UTC))
    file.write_bytes(pem([certificate], key))
    return certificate.serial_number


def served(stack: LiveStack) -> int:
    place = urlsplit(stack.address("gateway https"))
    text = ssl.get_server_certificate((str(place.hostname), place.port or 443))
    return x509.load_pem_x509_certificate(text.encode()).serial_number


def test_a_renewed_certificate_is_served_within_seconds(stack_of):
    """By the same process, and a broken one after it changes nothing but the journal and the status."""
    with stack_of(STACK) as stack:
        own = stack.folder / "own.pem"
        first = renew(own)
        stack.up()
        assert served(stack) == first
        edge = stack.engine("edge")["pid"]
        with load(LoadPlan(stack.address(), rate=300, duration=4, connections=16)) as running:
            second = renew(own)
            until(lambda: served(stack) == second, "the renewed certificate", 10)
            own.write_text("nothing")
            until(lambda: stack.events("certificate not taken"), "word of the broken one", 10)
            assert served(stack) == second
        print(f"\na certificate renewed under load: {said(running.report)}")
        assert running.report.failed == 0
        assert stack.engine("edge")["pid"] == edge
        assert any("holds no certificate in PEM" in line for line in stack.status()["warnings"])
