"""Lets traffic reach instances: through the edge, through a UDP forwarder, or not at all for a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cloudlet.control.forwarders import Forwarders
from cloudlet.control.store import Instance
from cloudlet.control.topology import is_balanced, server
from cloudlet.edge.group import EdgeGroup
from cloudlet.stack import Service


class ServiceAnnouncer:
    """Announces an instance by its service's protocol. `weights` holds what the control loop has set, by name."""

    def __init__(
        self,
        edge: EdgeGroup,
        forwarders: Forwarders,
        service_of: Callable[[str], Service],
        weights: Mapping[str, int],
    ) -> None:
        self._edge, self._forwarders = edge, forwarders
        self._service_of, self._weights = service_of, weights

    async def announce(self, instance: Instance) -> None:
        service = self._service_of(instance.service)
        if is_balanced(service):
            await self._edge.add_server(instance.service, server(service, instance, self._weights))
        elif service.protocol == "udp":
            await self._forwarders.add(instance)

    async def withdraw(self, instance: Instance) -> None:
        service = self._service_of(instance.service)
        if is_balanced(service):
            await self._edge.drain_server(instance.service, instance.name)
        elif service.protocol == "udp":
            await self._forwarders.remove(instance)

    async def fail(self, instance: Instance) -> None:
        service = self._service_of(instance.service)
        if is_balanced(service):
            await self._edge.fail_server(instance.service, instance.name)
        elif service.protocol == "udp":
            await self._forwarders.remove(instance)

    async def remove(self, instance: Instance) -> None:
        service = self._service_of(instance.service)
        if is_balanced(service):
            await self._edge.remove_server(instance.service, instance.name)
        elif service.protocol == "udp":
            await self._forwarders.remove(instance)
