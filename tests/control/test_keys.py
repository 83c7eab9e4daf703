"""`cloudlet key` on a running stack: issued, rotated, revoked, each true at the edge when the command returns."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.live_stack import LiveStack, until

TEXT = """
name: keyed
services: {web: {command: "python3 -m http.server {port}", instances: 2, health: {path: /, interval: 100ms}}}
identity: {api_keys: true}
gateway:
  listen: {http: 0, https: "off"}
  deny: {file: bad.txt}
  routes:
    - {path: /*, to: web, require: {api_key: true}}
    - {path: /reports/*, to: web, require: {api_key: true, roles: reader}}
"""


#: the gateway's, also while no cloudlet is there to say it
ADDRESS: list[str] = []


@pytest.fixture(scope="module")
def stack() -> Iterator[LiveStack]:
    live = LiveStack(TEXT)
    (live.folder / "bad.txt").write_text("10.0.0.0/8\n")
    with live:
        live.up()
        ADDRESS.append(urlsplit(live.address()).netloc)
        yield live


def ask(key: str, path: str = "/") -> int:
    connection = http.client.HTTPConnection(ADDRESS[-1], timeout=20)
    try:
        connection.request("GET", path, headers={"X-API-Key": key, "Connection": "close"})
        return connection.getresponse().status
    finally:
        connection.close()


def issue(stack: LiveStack, *words: str) -> tuple[str, str]:
    """Id and text."""
    text = stack.cloudlet("key", "issue", *words).stdout.strip()
    return text.split("_")[1], text


def listed(stack: LiveStack) -> list[dict[str, object]]:
    return list(json.loads(stack.cloudlet("key", "ls", "--output", "json").stdout)["keys"])


def test_a_key_lives_from_issue_to_revoke(stack: LiveStack) -> None:
    """Nothing of the secret is in what is kept or said; each step is in the journal with who did it."""
    assert ask("clk_none") == 401
    key_id, text = issue(stack, "billing", "--role", "reader", "--expires", "90d")
    assert ask(text) == 200 and ask(text, "/reports/") in (200, 404)
    assert ask(issue(stack, "other")[1], "/reports/") == 403
    status = next(key for key in listed(stack) if key["id"] == key_id)
    assert status["user"] == "billing" and status["roles"] == ["reader"] and status["by"] == os.getuid()
    secret = text.split("_", 2)[2]
    assert secret not in json.dumps(listed(stack)) and secret not in stack.cloudlet("config").stdout
    for file in stack.paths.root.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file
    stack.cloudlet("key", "revoke", key_id)
    assert ask(text) == 401
    said = [f"{event['event']} {event['because']}" for event in stack.ask("/v1/events") if key_id in event["subject"]]
    assert said == [
        f"issued to billing user {os.getuid()} asked for it; roles reader",
        f"revoked user {os.getuid()} asked for it; it was billing's",
    ]
    assert stack.cloudlet("key", "revoke", key_id, check=False).returncode == 7


def test_both_secrets_count_while_a_key_is_rotated(stack: LiveStack) -> None:
    """With an overlap; without one the old secret is refused when the command returns."""
    key_id, old = issue(stack, "billing")
    middle = stack.cloudlet("key", "rotate", key_id, "--overlap", "1h").stdout.strip()
    assert (ask(old), ask(middle)) == (200, 200)
    new = stack.cloudlet("key", "rotate", key_id).stdout.strip()
    assert (ask(old), ask(middle), ask(new)) == (401, 401, 200)
    _, short = issue(stack, "brief", "--expires", "1s")
    until(lambda: ask(short) == 401, "the key to expire")


def test_keys_survive_the_edge_cloudlet_and_a_succession(stack: LiveStack) -> None:
    """HAProxy killed, cloudlet killed, another file applied: a good key is good, a revoked one is not."""
    _, good = issue(stack, "billing")
    gone_id, gone = issue(stack, "gone")
    stack.cloudlet("key", "revoke", gone_id)

    def holds() -> bool:
        with contextlib.suppress(ConnectionError):
            return ask(good) == 200 and ask(gone) == 401
        return False

    edge = stack.processes()["edge"]
    os.kill(edge, signal.SIGKILL)
    until(lambda: stack.processes()["edge"] not in (edge, None), "the edge to be back")
    until(holds, "the keys to count")
    os.kill(stack.daemon, signal.SIGKILL)
    until(lambda: stack.cloudlet("key", "ls", check=False).returncode == 4, "cloudlet to be gone")
    assert holds()
    stack.up()
    assert holds()
    stack.write(TEXT.replace("path: /reports/*", "path: /bills/*"))
    stack.up()
    assert holds()


def test_a_changed_deny_list_counts_within_two_seconds(stack: LiveStack) -> None:
    """Without a command; a broken one is told and changes nothing."""
    _, good = issue(stack, "billing")
    began = time.monotonic()
    (stack.folder / "bad.txt").write_text("10.0.0.0/8\n127.0.0.0/8\n")
    until(lambda: ask(good) == 403, "the list to count")
    assert time.monotonic() - began < 5
    (stack.folder / "bad.txt").write_text("nonsense\n")
    until(lambda: stack.events("list of addresses not taken"), "the mistake to be told")
    assert ask(good) == 403
    (stack.folder / "bad.txt").write_text("")
    until(lambda: ask(good) == 200, "the list to count")


def test_wishes_that_cannot_be_are_refused(stack: LiveStack) -> None:
    """With the exit status of an operator's mistake, and nothing issued."""
    before = len(listed(stack))
    for words in (["a b"], ["x", "--role", "a,b"], ["x", "--expires", "0s"]):
        assert stack.cloudlet("key", "issue", *words, check=False).returncode == 2, words
    assert stack.cloudlet("key", "rotate", "none", check=False).returncode == 7
    assert len(listed(stack)) == before
