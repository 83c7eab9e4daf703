"""UDP listeners and their forwarders: through changes of the file, and through the death of cloudlet."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator

import pytest

from cloudlet.runtime.ports import free_port
from tests.control.test_protocols import NAMES, ask_by_datagram, place
from tests.support.live_stack import LiveStack, until

STACK = """
name: datagrams
services:
  names: {{command: {python} names.py, protocol: udp, instances: 2}}
edge:
  listeners:
    first: {{udp: {first}, to: names}}
    second: {{udp: 0, to: names}}
"""
BOTH = {"names-1", "names-2"}


def text(first: int = 0) -> str:
    return STACK.format(python=sys.executable, first=first)


@pytest.fixture
def stack() -> Iterator[LiveStack]:
    live = LiveStack(text())
    (live.folder / "names.py").write_text(NAMES)
    with live:
        live.up()
        yield live


def answering(address: tuple[str, int], clients: int = 24) -> set[str]:
    """The instances that so many clients meet."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(clients)]
    try:
        return {ask_by_datagram(address, client) for client in sockets}
    finally:
        for client in sockets:
            client.close()


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def kill_cloudlet(stack: LiveStack) -> None:
    kill([stack.daemon])


def test_two_listeners_serve_one_service(stack):
    """Each listener has a forwarder of its own, and the service's datagrams are those of both."""
    assert answering(place(stack, "listener first (udp)")) == BOTH
    assert answering(place(stack, "listener second (udp)")) == BOTH
    until(lambda: stack.status()["services"][0]["requests"] >= 48, "the datagrams of both to be counted")


def test_an_adopted_forwarder_keeps_those_that_serve_and_loses_those_that_died(stack):
    """cloudlet killed and up again: a scaled-in instance gets nothing more, one that died and came back gets again."""
    address = place(stack, "listener second (udp)")
    kill_cloudlet(stack)
    stack.up()
    kill([stack.instances("names")["names-2"]["pid"]])
    until(lambda: answering(address) == {"names-1"} or len(stack.serving("names")) == 2, "the death to be seen")
    until(lambda: len(stack.serving("names")) == 2 and answering(address) == BOTH, "both to answer again")
    stack.cloudlet("scale", "names=1")
    until(lambda: set(stack.instances("names")) == {"names-1"}, "the second to leave")
    assert answering(address) == {"names-1"}


def test_a_changed_port_is_served_instead_of_the_old_one(stack):
    """`up` with another port moves the listener; its neighbour is not disturbed."""
    old = place(stack, "listener first (udp)")
    fresh = free_port(set())
    stack.write(text(fresh))
    stack.up()
    assert answering(("127.0.0.1", fresh)) == BOTH
    assert answering(place(stack, "listener second (udp)")) == BOTH
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as now_free:
        now_free.bind(old)


def test_a_port_changed_while_cloudlet_was_dead_is_served(stack):
    """What was found running serves the old socket: it is replaced."""
    kill_cloudlet(stack)
    fresh = free_port(set())
    stack.write(text(fresh))
    stack.up()
    assert answering(("127.0.0.1", fresh)) == BOTH


def test_a_listener_removed_while_cloudlet_was_dead_ends(stack):
    """No forwarder stays for a listener that the file has no more."""
    old = place(stack, "listener second (udp)")
    kill_cloudlet(stack)
    stack.write(text().replace("    second: {udp: 0, to: names}\n", ""))
    stack.up()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as now_free:
        now_free.bind(old)
    assert answering(place(stack, "listener first (udp)")) == BOTH
