"""One client's connection: request after request, each of a service that shows its credential."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cloudlet.contracts.egress import EgressConfiguration
from cloudlet.gateway.egress.admission import Admission
from cloudlet.gateway.egress.answers import ESTABLISHED, refusal_bytes
from cloudlet.gateway.egress.cache import Cache
from cloudlet.gateway.egress.connect import Connector, Refusal
from cloudlet.gateway.egress.credentials import service_of
from cloudlet.gateway.egress.forward import Forwarder, Request
from cloudlet.gateway.egress.log import Log
from cloudlet.gateway.egress.messages import Head, Malformed, read_request
from cloudlet.gateway.egress.target import Target, parse_authority, parse_url
from cloudlet.gateway.egress.tunnel import tunnel
from cloudlet.gateway.egress.wire import Wire
from cloudlet.stack.findings import Fault

#: seconds for which what a refused client goes on sending is thrown away
_LINGER = 1.0
#: it would show outside what the proxy takes away
_FORBIDDEN = frozenset({"TRACE"})


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections of the process have in common."""

    configuration: EgressConfiguration
    connector: Connector
    admission: Admission
    cache: Cache | None
    log: Log


class Client:
    """`draining` is set when the process is to end: no further request is begun."""

    def __init__(self, wire: Wire, shared: Shared) -> None:
        self._wire, self._shared = wire, shared
        self._forwarder = Forwarder(wire, shared.connector, shared.cache, shared.configuration.idle)
        self.busy = self.draining = self._refused = False

    async def serve(self) -> None:
        """Until the connection ends; never raises."""
        try:
            while await self._one():
                pass
            await self._linger()
        except (ConnectionError, OSError):
            self._wire.abort()
        finally:
            self._forwarder.close()
            self._wire.close()

    def end(self) -> None:
        """Begin no further request; one that is under way goes on."""
        self.draining = True
        if not self.busy:
            self._wire.close()

    async def _one(self) -> bool:
        """One request; whether another may follow."""
        configuration = self._shared.configuration
        try:
            head = await read_request(self._wire, configuration.head_within, configuration.keep)
        except Malformed as error:
            return await self._refuse({}, Refusal(error.status, str(error), "http_request_error", refused=True))
        except TimeoutError:
            return await self._refuse({}, Refusal(408, "the head came too slowly", "http_request_error", refused=True))
        if head is None:
            return False
        self.busy = True
        try:
            return await self._logged(head) and not self.draining
        finally:
            self.busy = False

    async def _logged(self, head: Head) -> bool:
        started, sent, received = time.monotonic(), self._wire.sent, self._wire.received
        entry: dict[str, object] = {"service": None, "method": head.method}
        try:
            return await self._answer(head, entry)
        except Refusal as refusal:
            return await self._refuse(entry, refusal, head.method)
        finally:
            # of a request its body and whatever was read ahead, of a tunnel all that passed
            entry["received"], entry["sent"] = self._wire.sent - sent, self._wire.received - received
            entry["seconds"] = round(time.monotonic() - started, 3)
            self._shared.log.write(entry)

    async def _answer(self, head: Head, entry: dict[str, object]) -> bool:
        """Raises Refusal."""
        service = self._service(head)
        entry["service"] = service
        target = _target(head)
        entry["destination"] = target.authority
        if head.method != "CONNECT":
            entry["path"] = target.path.partition("?")[0]
        if not self._shared.admission.enter(service):
            most = self._shared.configuration.most_of_one
            raise Refusal(503, f"{service} has {most} connections already", "connection_limit_reached", refused=True)
        try:
            self._shared.connector.admit(service, target)
            if head.method == "CONNECT":
                return await self._tunnel(service, target, entry)
            return await self._forwarder.forward(Request(service, target, head, entry))
        finally:
            self._shared.admission.leave(service)

    def _service(self, head: Head) -> str:
        """Raises Refusal."""
        given = [value for name, value in head.fields if name.lower() == b"proxy-authorization"]
        found = service_of(self._shared.configuration.credentials, given[0]) if len(given) == 1 else None
        if found is None:
            because = "no credential of a service was shown" if not given else "nobody has this credential"
            raise Refusal(407, f"{because}; use HTTP_PROXY as it is", "http_request_denied", refused=True)
        return found

    async def _tunnel(self, service: str, target: Target, entry: dict[str, object]) -> bool:
        """Raises Refusal."""
        upstream, address = await self._shared.connector.connect(service, target)
        entry["address"], entry["status"] = str(address), 200
        if self._wire.lost:
            upstream.abort()
            return False
        self._wire.write(ESTABLISHED)
        entry["error"] = await tunnel(self._wire, upstream, self._shared.configuration.idle)
        return False

    async def _refuse(self, entry: Mapping[str, object], refusal: Refusal, method: str = "GET") -> bool:
        """The proxy's own answer, then the end: what the client goes on sending is not read as a request."""
        service, destination = entry.get("service"), entry.get("destination")
        told = {"status": refusal.status, "refused" if refusal.refused else "error": refusal.because}
        if isinstance(entry, dict) and entry:
            entry.update(told)
        else:
            self._shared.log.write({"service": None, **told})
        self._wire.write(
            refusal_bytes(refusal, method=method, service=str(service or ""), destination=str(destination or ""))
        )
        self._refused = True
        return False

    async def _linger(self) -> None:
        """What a refused client goes on sending is thrown away for a moment, lest a reset takes the answer from it
        (RFC 9112, 9.6)."""
        if not self._refused:
            return
        self._wire.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while await self._wire.read():
                    pass


def _target(head: Head) -> Target:
    """Raises Refusal."""
    if head.method in _FORBIDDEN:
        raise Refusal(405, f"{head.method} is not passed on", "http_request_denied", refused=True)
    if head.method == "CONNECT" and (head.length or head.chunked):
        raise Refusal(400, "CONNECT has no body", "http_request_error", refused=True)
    try:
        return parse_authority(head.url) if head.method == "CONNECT" else parse_url(head.url)
    except Fault as fault:
        because = f"{fault}; {fault.fix}" if fault.fix else str(fault)
        raise Refusal(400, because, "http_request_error", refused=True) from None
