"""What the fault tests of the gateway have in common: a stack with rules, load on it, what was counted."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cloudlet.load import LoadPlan, Report
from tests.support.live_stack import LiveStack, until
from tests.support.load import said

#: two instances of the usual service; `{rest}` is the rest of the file
STACK = """
name: front
services:
  web:
    command: {{python}} app.py
    instances: 2
    environment: {{{{POSTED: {{posted}}}}}}
    health: {{{{path: /health}}}}
    balance: round-robin
{rest}"""
LISTEN = '  listen: {{http: 0, https: "off"}}\n'


def steady(stack: LiveStack, path: str = "/", **more: object) -> LoadPlan:
    """10,800 requests in 6 s on 32 connections."""
    return LoadPlan(stack.address() + path, **{"rate": 1800, "duration": 6, "connections": 32, "timeout": 20} | more)


def counted(what: str, report: Report, also: str = "") -> None:
    """Print it; at least 10,000 were sent and none failed."""
    print(f"\n{what}: {said(report)}{also}")
    assert report.sent >= 10_000
    assert report.failed == 0, report.failures


def statuses(stack: LiveStack, path: str, times: int = 1, **headers: str) -> list[int]:
    """Of requests one after the other, on a new connection each."""
    return [status(stack.address(), path, **headers) for _ in range(times)]


def status(address: str, path: str, method: str = "GET", **headers: str) -> int:
    """Underscores of a header's name are hyphens."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, headers={"Connection": "close", **named})
        return connection.getresponse().status
    finally:
        connection.close()


def issue(stack: LiveStack, *words: str) -> tuple[str, str]:
    """An API key: its id, and the key."""
    text = stack.cloudlet("key", "issue", *words).stdout.strip()
    return text.split("_")[1], text


def kill(stack: LiveStack, engine: str) -> None:
    """SIGKILL, and wait for another process."""
    before = until(lambda: stack.processes()[engine], f"{engine} to run")
    os.kill(before, signal.SIGKILL)
    until(lambda: stack.processes()[engine] not in (before, None), f"another {engine}")


def kill_only(stack: LiveStack, service: str) -> tuple[float, float]:
    """SIGKILL the only instance, and wait until it serves again; when both was, in time.monotonic() seconds."""
    (before,) = until(lambda: stack.serving(service), f"{service} to serve").values()
    at = time.monotonic()
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: any(i["pid"] != before["pid"] for i in stack.serving(service).values()), f"{service} to serve again")
    return at, time.monotonic()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process hangs while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def replace_file(path: Path, text: str) -> None:
    """At once, as whoever rotates keys should."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)
