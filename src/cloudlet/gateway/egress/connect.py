"""The way to a destination: rules, name, addresses, rules again, connection to just those addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping

from cloudlet.gateway.egress.names import Names, NoSuchName
from cloudlet.gateway.egress.target import Target
from cloudlet.gateway.egress.wire import Wire
from cloudlet.policy.egress import Rulebook
from cloudlet.stack.destinations import Address

#: seconds for one address, and for all of them
_ONE = 5.0
_ALL = 15.0


class Refusal(Exception):
    """The proxy's own answer instead of the destination's: `status`, and the error type of RFC 9209, 2.3.

    `refused` is whether a rule says so, and the destination was not to blame.
    """

    def __init__(self, status: int, because: str, kind: str, *, refused: bool = False) -> None:
        super().__init__(because)
        self.status, self.because, self.kind, self.refused = status, because, kind, refused


class Connector:
    """Connections by the rules of whoever asks, by service."""

    def __init__(self, rules: Mapping[str, Rulebook], names: Names) -> None:
        self._rules, self._names = rules, names

    def admit(self, service: str, target: Target) -> None:
        """Raises Refusal for what the service may not even ask for."""
        verdict = self._rules[service].admits(target.host, target.port)
        if not verdict.allowed:
            raise Refusal(403, verdict.because, verdict.kind, refused=True)

    def may_have(self, service: str, target: Target, address: Address) -> bool:
        """Whether it may be given what somebody else got from that address."""
        return self._rules[service].choose(target.port, (address,)).verdict.allowed

    async def connect(self, service: str, target: Target) -> tuple[Wire, Address]:
        """Raises Refusal. `admit` has been asked before."""
        if isinstance(target.host, str):
            try:
                found = await self._names.addresses(target.host)
            except NoSuchName as error:
                raise Refusal(502, f"{target.host} has no address: {error}", "dns_error") from None
        else:
            found = (target.host,)
        choice = self._rules[service].choose(target.port, found)
        if not choice.verdict.allowed:
            raise Refusal(403, choice.verdict.because, choice.verdict.kind, refused=True)
        return await _first(choice.addresses, target.port)


async def _first(addresses: tuple[Address, ...], port: int) -> tuple[Wire, Address]:
    """The first address that answers. Raises Refusal."""
    last: OSError = TimeoutError()
    try:
        async with asyncio.timeout(_ALL):
            for address in addresses:
                try:
                    return await _open(address, port), address
                except OSError as error:  # TimeoutError is one
                    last = error
    except TimeoutError:
        last = TimeoutError()
    if isinstance(last, ConnectionRefusedError):
        raise Refusal(502, "it refuses the connection", "connection_refused") from None
    if isinstance(last, TimeoutError):
        raise Refusal(504, "it does not answer", "connection_timeout") from None
    raise Refusal(502, f"it cannot be reached: {last.strerror or last}", "destination_ip_unroutable") from None


async def _open(address: Address, port: int) -> Wire:
    async with asyncio.timeout(_ONE):
        _, wire = await asyncio.get_running_loop().create_connection(Wire, str(address), port)
        return wire


def is_own(address: Address) -> bool:
    """Whether the address is this machine's: what then answers is local, whatever the address looks like. Asks the
    kernel's routes; nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return str(probe.getsockname()[0]) == str(address)
