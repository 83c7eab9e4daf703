"""Connections to the services' internal listeners, where the edge balances each call by itself.

One connection carries a hundred calls at once, which is what the edge allows by default; more would wait behind
streams that may never end. So there are as many connections as are needed, and a call takes the least busy one.
Nothing is repeated here: the edge repeats what may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc

from cloudlet.gateway.grpc.messages import LARGEST

#: calls that one connection carries; the edge takes 100
MOST_CALLS = 90
#: bytes of a stream that are taken before its client reads; gRPC itself would let it grow to many megabytes
_WINDOW = 262_144


@dataclass(slots=True)
class _Connection:
    channel: Any
    calls: int = 0


class Lease:
    """One call's place on a connection, until `release`, which may be called again."""

    def __init__(self, connection: _Connection) -> None:
        self._connection: _Connection | None = connection
        connection.calls += 1
        self.channel = connection.channel

    def release(self) -> None:
        if self._connection is not None:
            self._connection.calls -= 1
            self._connection = None


class Channels:
    """By the service's name; opened when they are first needed."""

    def __init__(self, services: Mapping[str, str], most_calls: int = MOST_CALLS) -> None:
        self._services, self._most = services, most_calls
        self._open: dict[str, list[_Connection]] = {}

    def take(self, service: str) -> Lease:
        connections = self._open.setdefault(service, [])
        connection = min(connections, key=lambda item: item.calls, default=None)
        if connection is None or connection.calls >= self._most:
            connection = _Connection(_channel(self._services[service], len(connections)))
            connections.append(connection)
        return Lease(connection)

    def count(self, service: str) -> int:
        return len(self._open.get(service, ()))

    async def close(self) -> None:
        for connections in self._open.values():
            for connection in connections:
                await connection.channel.close(None)
        self._open.clear()


def _channel(url: str, number: int) -> Any:
    """`number` makes it a connection of its own: gRPC shares those of equal settings."""
    settings = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", LARGEST),
        ("grpc.max_send_message_length", LARGEST),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _WINDOW),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("cloudlet.number", number),
    ]
    return grpc.aio.insecure_channel(urlsplit(url).netloc, options=settings)
