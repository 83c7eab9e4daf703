"""The forwarder itself: from the listening socket to the client's flow, and back."""

from __future__ import annotations

import asyncio

from cloudlet.edge.forwarder.flows import Flows
from cloudlet.edge.forwarder.listening import Client, Listening
from cloudlet.edge.forwarder.statistics import Statistics
from cloudlet.edge.forwarder.targets import Targets

#: datagrams taken in before replies get their turn
_BATCH = 64
#: seconds between two looks for idle flows
_SWEEP = 1.0


class Forwarder:
    """`idle` is the seconds after which an unused flow ends, `flows` how many there may be. Runs on the loop
    that it is made on, from `start` to `stop`."""

    def __init__(self, listening: Listening, targets: Targets, *, idle: float, flows: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening, self._targets, self._idle = listening, targets, idle
        self.statistics = Statistics()
        self._flows = Flows(self._loop, listening.reply, self.statistics, flows)
        self._sweeping: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop.add_reader(self._listening.socket.fileno(), self._take_in)
        self._sweep()

    def stop(self) -> None:
        """Leave the listening socket to a successor; datagrams wait in it."""
        self._loop.remove_reader(self._listening.socket.fileno())
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._flows.close()

    def aim(self, targets: Targets) -> None:
        """Spread over these from now on; clients of the targets that stay notice nothing."""
        self._targets = targets
        self._flows.leave(targets.__contains__)

    def _take_in(self) -> None:
        now = self._loop.time()
        for _ in range(_BATCH):
            try:
                data, client = self._listening.receive()
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier reply
                self.statistics.refused += 1
                continue
            self.statistics.datagrams_in += 1
            self.statistics.bytes_in += len(data)
            self._forward(data, client, now)

    def _forward(self, data: bytes, client: Client, now: float) -> None:
        try:
            flow = self._flows.find(client, now)
            if flow is None:
                target = self._targets.of(f"{client.address[0]}:{client.address[1]}")
                if target is None:
                    self.statistics.dropped += 1
                    return
                flow = self._flows.open(client, target, now)
            flow.socket.send(data)
        except ConnectionRefusedError:  # reported for the datagram before; this one was not sent, so once more
            self.statistics.refused += 1
            self._send_again(data, client, now)
        except OSError:
            self.statistics.dropped += 1

    def _send_again(self, data: bytes, client: Client, now: float) -> None:
        flow = self._flows.find(client, now)
        try:
            if flow is not None:
                flow.socket.send(data)
        except OSError:
            self.statistics.dropped += 1

    def _sweep(self) -> None:
        self._flows.expire(self._loop.time() - self._idle)
        self._sweeping = self._loop.call_later(min(_SWEEP, self._idle), self._sweep)
