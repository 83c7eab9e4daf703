"""The sockets that a stack holds, and what services are told of them."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.contracts.process import HeldSocket
from cloudlet.control import sockets
from cloudlet.control.desired import Desired
from cloudlet.control.egress import EGRESS, Outbound
from cloudlet.control.resources import Resources
from cloudlet.control.topology import GATEWAY, STORE, SocketRequest, engine_backend


class Addresses:
    """`held` is what the accepted file asks for."""

    def __init__(self, desired: Desired, resources: Resources, outbound: Outbound) -> None:
        self._desired, self._resources, self._outbound = desired, resources, outbound
        self.held: sockets.Held = []

    def used(self, service: str) -> dict[str, dict[str, str]]:
        """The environment that each used name gives to a service."""
        listeners = {request.name: held for request, held in self._internal()}
        return {
            name: self._environment(service, name, listeners[f"internal-{name}"])
            for name in self._desired.service(service).uses
        }

    def _environment(self, service: str, name: str, held: HeldSocket) -> dict[str, str]:
        if name == EGRESS:
            return self._outbound.environment(self._desired.stack, service, held.host, held.port)
        found = self._resources.environment(service, name, held)
        return found if found is not None else self._service_address(name, held)

    def _service_address(self, name: str, held: HeldSocket) -> dict[str, str]:
        protocol = self._desired.service(name).protocol
        scheme = "tcp" if protocol == "tcp" else "http"
        return {f"{name.upper().replace('-', '_')}_URL": f"{scheme}://{held.host}:{held.port}"}

    def gateway(self) -> str:
        """Where the edge asks cloudlet-gateway about credentials; empty where there is none."""
        held = self._of(GATEWAY)
        return f"{held.host}:{held.port}" if held is not None else ""

    def store(self) -> str:
        """The URL by which cloudlet-gateway reaches cloudlet's own store; empty where there is none."""
        held = self._of(engine_backend(STORE))
        found = self._resources.environment(GATEWAY, STORE, held) if held is not None else None
        return next(iter((found or {}).values()), "")

    def _of(self, backend: str) -> HeldSocket | None:
        return next((held for request, held in self._internal() if request.backend == backend), None)

    def _internal(self) -> Iterator[tuple[SocketRequest, HeldSocket]]:
        return ((request, held) for request, held in self.held if request.internal)
