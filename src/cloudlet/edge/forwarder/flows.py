"""The flows through a forwarder: for each client a socket of its own to its target, so that replies find
their way.

A flow lasts until it is idle for some time. There are so many at most; a new one beyond that takes the place
of the one idle longest, so a flood of forged senders cannot use up descriptors, and one that is in use stays.

A flow whose target has gone *leaves*: it takes nothing from its client any more, whose next datagram opens a
new one, but still brings the replies that are on their way.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from cloudlet.edge.forwarder.listening import LONGEST, Client
from cloudlet.edge.forwarder.statistics import Statistics
from cloudlet.edge.forwarder.targets import Target

#: replies taken from one flow before the others get their turn
_BATCH = 32


class Flow:
    """One client's way to its target. Raises OSError when no socket can be had."""

    __slots__ = ("client", "last", "socket", "target")

    def __init__(self, client: Client, target: Target, now: float) -> None:
        self.client, self.target, self.last = client, target, now
        family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self.socket.connect((target.host, target.port))
        except OSError:
            self.socket.close()
            raise


class Flows:
    """All flows by the client's address, the one idle longest first."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reply: Callable[[bytes, Client], None],
        statistics: Statistics,
        at_most: int,
    ) -> None:
        self._loop, self._reply, self._statistics, self._at_most = loop, reply, statistics, at_most
        self._flows: OrderedDict[tuple[Any, ...], Flow] = OrderedDict()
        self._leaving: OrderedDict[int, Flow] = OrderedDict()

    def __len__(self) -> int:
        return len(self._flows) + len(self._leaving)

    def find(self, client: Client, now: float) -> Flow | None:
        """The client's flow, marked as used; replies go back from where it wrote to last."""
        flow = self._flows.get(client.address)
        if flow is not None:
            flow.last, flow.client = now, client
            self._flows.move_to_end(client.address)
        return flow

    def open(self, client: Client, target: Target, now: float) -> Flow:
        """A new flow. Raises OSError when no socket can be had."""
        while len(self) >= self._at_most:
            self._evict()
        flow = Flow(client, target, now)
        self._flows[client.address] = flow
        self._loop.add_reader(flow.socket.fileno(), self._take_replies, flow)
        self._statistics.flows = len(self)
        return flow

    def leave(self, stays: Callable[[Target], bool]) -> None:
        """Flows whose target does not stay begin to leave."""
        for address, flow in list(self._flows.items()):
            if not stays(flow.target):
                del self._flows[address]
                self._leaving[flow.socket.fileno()] = flow

    def expire(self, before: float) -> None:
        """Close the flows that were last used before this time."""
        while self._flows and next(iter(self._flows.values())).last < before:
            self._close(self._flows.popitem(last=False)[1])
        for key in [key for key, flow in self._leaving.items() if flow.last < before]:
            self._close(self._leaving.pop(key))
        self._statistics.flows = len(self)

    def close(self) -> None:
        for flow in (*self._flows.values(), *self._leaving.values()):
            self._close(flow)
        self._flows.clear()
        self._leaving.clear()

    def _evict(self) -> None:
        kept: OrderedDict[Any, Flow] = self._leaving or self._flows  # those that leave are missed least
        self._close(kept.popitem(last=False)[1])
        self._statistics.evicted += 1

    def _close(self, flow: Flow) -> None:
        self._loop.remove_reader(flow.socket.fileno())
        flow.socket.close()

    def _take_replies(self, flow: Flow) -> None:
        flow.last = self._loop.time()
        if self._flows.get(flow.client.address) is flow:
            self._flows.move_to_end(flow.client.address)
        for _ in range(_BATCH):
            try:
                data = flow.socket.recv(LONGEST)
            except BlockingIOError:
                return
            except OSError:  # the target's port is closed: an ICMP error reported here
                self._statistics.refused += 1
                return
            self._pass_back(data, flow)

    def _pass_back(self, data: bytes, flow: Flow) -> None:
        try:
            self._reply(data, flow.client)
        except OSError:  # no room in the kernel, or the client cannot be reached: UDP loses it
            self._statistics.dropped += 1
        else:
            self._statistics.datagrams_out += 1
            self._statistics.bytes_out += len(data)
