"""The process: reads its configuration, listens on loopback, and on SIGTERM ends when what is under way is over."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from dataclasses import replace
from pathlib import Path

import uvloop

from cloudlet.contracts.egress import CONFIGURATION, EgressConfiguration
from cloudlet.errors import OperatorError
from cloudlet.gateway.egress.admission import Admission
from cloudlet.gateway.egress.answers import refusal_bytes
from cloudlet.gateway.egress.cache import Cache
from cloudlet.gateway.egress.client import Client, Shared
from cloudlet.gateway.egress.connect import Connector, Refusal, is_own
from cloudlet.gateway.egress.log import Log
from cloudlet.gateway.egress.names import Lookup, Names, system_lookup
from cloudlet.gateway.egress.wire import Wire
from cloudlet.gateway.private_file import read
from cloudlet.policy.egress import Rulebook

_HOST = "127.0.0.1"
_BACKLOG = 4096
#: descriptors that are not a client's or a destination's
_OWN_DESCRIPTORS = 64


def run(port: int, config: Path) -> None:
    """Serve until SIGTERM or SIGINT. Raises OperatorError."""
    configuration = read(config, CONFIGURATION, "cloudlet-egress")
    uvloop.run(_serve(port, replace(configuration, most=min(configuration.most, _descriptors()))))


def _descriptors() -> int:
    """How many clients the limit of open files allows, once it is as high as it may be: two each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (soft - _OWN_DESCRIPTORS) // 2) if soft != resource.RLIM_INFINITY else 1 << 20


class Proxy:
    """The listening proxy. `lookup` finds a name's addresses."""

    def __init__(self, configuration: EgressConfiguration, log: Log, lookup: Lookup = system_lookup) -> None:
        self._names, self._log = Names(lookup), log
        rules = {
            service: Rulebook(rules.allowed, rules.denied, is_own) for service, rules in configuration.rules.items()
        }
        self._shared = Shared(
            configuration,
            Connector(rules, self._names),
            Admission(configuration.most, configuration.most_of_one),
            Cache(configuration.cache) if configuration.cache else None,
            log,
        )
        self._clients: dict[asyncio.Task[None], Client] = {}
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """The port it listens on. Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._connected), _HOST, port, backlog=_BACKLOG)
        return int(self._server.sockets[0].getsockname()[1])

    def _connected(self, wire: Wire) -> None:
        if self._shared.admission.full:
            most = self._shared.configuration.most
            refusal = Refusal(503, f"{most} connections are open already", "connection_limit_reached", refused=True)
            self._log.write({"service": None, "status": 503, "refused": refusal.because})
            wire.write(refusal_bytes(refusal))
            wire.close()
            return
        client = Client(wire, self._shared)
        task = asyncio.get_running_loop().create_task(client.serve())
        self._shared.admission.connections += 1
        self._clients[task] = client
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._shared.admission.connections -= 1
        del self._clients[task]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.write({"service": None, "refused": f"a bug of the proxy: {type(error).__name__}: {error}"})

    async def drain(self) -> None:
        """Listen no more; returns when every request and tunnel under way is over."""
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients.values()):
            client.end()
        while self._clients:
            await asyncio.wait(tuple(self._clients))

    async def close(self) -> None:
        """End everything now."""
        if self._server is not None:
            self._server.close()
        tasks = tuple(self._clients)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # aborted connections are closed in the loop's next turn
        self._names.close()
        await self._log.close()


async def _serve(port: int, configuration: EgressConfiguration) -> None:
    proxy = Proxy(configuration, Log(all_of_it=configuration.log_all))
    try:
        await proxy.start(port)
    except OSError as error:
        raise OperatorError(f"cannot listen on port {port}: {error.strerror}; choose another") from error
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await stopping.wait()
    again = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, again.set)
    draining, told_again = asyncio.create_task(proxy.drain()), asyncio.create_task(again.wait())
    await asyncio.wait({draining, told_again}, return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, told_again):
        task.cancel()
    await proxy.close()
