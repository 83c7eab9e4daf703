"""`backup`, `sticky`, `concurrency` and `wait` through a whole stack, as its file says them."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.support.gateway import answering, get
from tests.support.live_stack import until

from .conftest import BehavingStack

STACK = """
name: served
services:
  front:
    {app}
    instances: 2
    balance: round-robin
    backup: page
    wait: {for: 5s}
  page:
    {app}
  basket:
    {app}
    instances: 3
    balance: round-robin
    sticky: {cookie: BASKET}
  narrow:
    {app}
    concurrency: 2
    wait: {for: 700ms, at_most: 2}
gateway:
  listen: {http: 0, https: "off"}
  routes:
  - {path: /front/*, to: front}
  - {path: /basket/*, to: basket}
  - {path: /narrow/*, to: narrow}
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[BehavingStack]:
    with BehavingStack(STACK) as live:
        live.up()
        yield live


@dataclass(frozen=True)
class Answer:
    """`after` is the seconds that it took."""

    status: int
    instance: str
    retry_after: str | None
    cookie: str | None
    after: float


def ask(stack: BehavingStack, path: str, cookie: str | None = None) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(stack.address()).netloc, timeout=10)
    began = time.monotonic()
    try:
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        response.read()
        found = response.headers
        taken = time.monotonic() - began
        return Answer(
            response.status, found.get("X-Instance", ""), found["Retry-After"], found["Set-Cookie"], round(taken, 3)
        )
    finally:
        connection.close()


def test_a_backup_answers_while_no_instance_is_up_and_no_longer(stack: BehavingStack) -> None:
    """One of two sick: the other serves. Both sick: the backup does. One well again: it serves alone."""
    address = stack.address()
    assert answering(address, 4, "/front/x") == {"front-1", "front-2"}
    stack.behave("front-1", health=500)
    until(lambda: set(stack.serving("front")) == {"front-2"}, "front-1 to be out")
    assert answering(address, 4, "/front/x") == {"front-2"}
    stack.behave("front-2", health=500)
    until(lambda: not stack.serving("front"), "both to be out")
    assert answering(address, 4, "/front/x") == {"page-1"}
    stack.behave("front-1")
    until(lambda: set(stack.serving("front")) == {"front-1"}, "front-1 to be back")
    assert answering(address, 4, "/front/x") == {"front-1"}
    stack.behave("front-2")
    until(lambda: len(stack.serving("front")) == 2, "both to be back")


def test_a_sticky_client_stays_with_its_instance(stack: BehavingStack) -> None:
    """The cookie brings each client back to its own instance, also after that died and came back at another port; away
    from one that is gone, with a new cookie."""
    first = [ask(stack, "/basket/x") for _ in range(6)]
    assert {answer.instance for answer in first} == {"basket-1", "basket-2", "basket-3"}
    cookies = {answer.instance: str(answer.cookie).partition(";")[0] for answer in first}
    for instance, cookie in cookies.items():
        again = [ask(stack, "/basket/x", cookie) for _ in range(5)]
        assert {answer.instance for answer in again} == {instance}
        assert {answer.cookie for answer in again} == {None}
    before = stack.instances("basket")["basket-1"]
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: stack.serving("basket")["basket-1"]["pid"] != before["pid"], "a fresh basket-1")
    assert stack.instances("basket")["basket-1"]["port"] != before["port"]
    assert all(ask(stack, "/basket/x", cookie).instance == instance for instance, cookie in cookies.items())
    stack.cloudlet("scale", "basket=2")
    until(lambda: set(stack.instances("basket")) == {"basket-1", "basket-2"}, "the third to go")
    moved = ask(stack, "/basket/x", cookies["basket-3"])
    print(f"\n{cookies}; basket-3 gone, its client is at {moved.instance} with {moved.cookie}")
    assert moved.status == 200
    assert str(moved.cookie).startswith(f"BASKET={moved.instance}")


def test_requests_above_the_concurrency_wait_and_are_told_when_to_come_again(stack: BehavingStack) -> None:
    """Two are worked on, two wait, the fifth is refused at once; those that waited too long get 503 after their time;
    one that waits is served as soon as there is room."""
    with ThreadPoolExecutor(8) as pool:
        try:
            working = [pool.submit(ask, stack, "/narrow/hold") for _ in range(2)]
            until(lambda: narrow(stack) == (2, 0), "two to be worked on")
            waiting = [pool.submit(ask, stack, "/narrow/x") for _ in range(2)]
            until(lambda: narrow(stack) == (2, 2), "two to wait")
            refused = ask(stack, "/narrow/x")
            late = [future.result() for future in waiting]
            served = pool.submit(ask, stack, "/narrow/x")
            until(lambda: narrow(stack) == (2, 1), "one to wait")
        finally:
            stack.release()
        answers = [future.result() for future in [*working, served]]
    print(f"\nat once {refused}\nlate {late}\nserved {answers}")
    assert (refused.status, refused.retry_after) == (503, "1")
    assert refused.after < 0.5
    assert [(answer.status, answer.retry_after) for answer in late] == [(503, "1")] * 2
    assert all(0.6 < answer.after < 2 for answer in late)
    assert [answer.status for answer in answers] == [200] * 3
    assert get(stack.address(), "/narrow/x") == (200, "narrow-1")


def narrow(stack: BehavingStack) -> tuple[int, int]:
    """Requests that the instance works on, and those that wait for it."""
    found = next(service for service in stack.status()["services"] if service["name"] == "narrow")
    (instance,) = found["instances"]
    return instance["sessions"], found["queued"]
