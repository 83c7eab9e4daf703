"""Hosts as they may be asked for, and the patterns by which the file allows and denies them.

One reading of a host for both sides: lower case, one trailing dot dropped, addresses in their only form. What other
programs read as an address in disguise (`0x7f.1`, `2130706433`, `0177.0.0.1`) is refused, never guessed at: the
proxy's reading would differ from the one of whoever connects.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from cloudlet.stack.findings import Fault

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

#: mail between servers: only a rule that names the port allows it
MAIL = 25
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
#: a last label that makes the whole an IPv4 address for browsers and the C library
#: (https://url.spec.whatwg.org/#ends-in-a-number-checker)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST = 253
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_FIX = "write host, *.domain, an address or a network, with :port where it matters"


@dataclass(frozen=True, slots=True)
class Destination:
    """What a rule covers: the host `name`, the hosts below `below`, a `network`, or anything when all are empty.
    `port` None is every port (but MAIL, where it allows)."""

    text: str
    name: str = ""
    below: str = ""
    network: Network | None = None
    port: int | None = None

    @property
    def anything(self) -> bool:
        return not self.name and not self.below and self.network is None

    def covers_port(self, port: int) -> bool:
        return self.port in (None, port)

    def lets_to_port(self, port: int) -> bool:
        """The same for a rule that allows."""
        return self.covers_port(port) and (port != MAIL or self.port == MAIL)

    def covers_host(self, host: str | Address) -> bool:
        if isinstance(host, str):
            return self.anything or host == self.name or bool(self.below and host.endswith(f".{self.below}"))
        return self.anything or self.contains(host)

    def contains(self, address: Address) -> bool:
        """Whether a network was named that holds this address."""
        return self.network is not None and address.version == self.network.version and address in self.network


def parse_port(text: str) -> int:
    """Raises Fault."""
    if _PORT.fullmatch(text) is None or int(text) > 65535:
        raise Fault(f'"{text}" is no port', "write 1 to 65535")
    return int(text)


def parse_host(text: str) -> str | Address:
    """A host name or an address, `[…]` around IPv6. Raises Fault for anything that could be read in two ways."""
    if text.startswith("["):
        return _ipv6(text)
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(text)
    if not name.isascii():
        raise Fault(f'"{text}" is no host name as it stands in DNS', "write its ASCII form, xn--…")
    if len(name) > _LONGEST or not all(map(_LABEL.fullmatch, labels)):
        raise Fault(f'"{text}" is no host name', _FIX)
    return name


def _ipv6(text: str) -> Address:
    try:
        address = IPv6Address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise Fault(f'"{text}" is no IPv6 address', "write it as [2001:db8::1]") from None
    if not text.endswith("]") or address.scope_id:
        raise Fault(f'"{text}" is no IPv6 address without a zone', "write it as [2001:db8::1]")
    return address.ipv4_mapped or address


def _ipv4(text: str) -> Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise Fault(f'"{text}" is an address in a form that is read in several ways', "write it as 192.0.2.1") from None


def parse_destination(text: str) -> Destination:
    """A pattern of the file. Raises Fault."""
    if "//" in text:
        raise Fault(f'"{text}" is a URL', "write its host alone, and its port where it matters")
    host, port = _split(text)
    if host == "*":
        return Destination(text, port=port)
    if "/" in host:
        return Destination(text, network=_network(host), port=port)
    if host.startswith("*."):
        below = parse_host(host.removeprefix("*."))
        if not isinstance(below, str):
            raise Fault(f'"{text}": an address has nothing below it', "write a network such as 192.0.2.0/24")
        return Destination(text, below=below, port=port)
    found = parse_host(f"[{host}]" if ":" in host and not host.startswith("[") else host)
    if isinstance(found, str):
        return Destination(text, name=found, port=port)
    return Destination(text, network=ip_network(found), port=port)


def _split(text: str) -> tuple[str, int | None]:
    """Host and port; bare IPv6 has none."""
    bracket, rest = text.startswith("["), text.partition("]")[2]
    if bracket and rest[:1] == ":":
        return text.partition("]")[0] + "]", parse_port(rest[1:])
    if bracket or text.count(":") != 1:
        return text, None
    host, _, port = text.partition(":")
    return host, parse_port(port)


def _network(text: str) -> Network:
    bare = text.removeprefix("[").removesuffix("]") if text.startswith("[") else text
    try:
        return ip_network(bare)
    except ValueError:
        fix = _FIX
    with contextlib.suppress(ValueError):
        fix = f"write {ip_network(bare, strict=False)}"
    raise Fault(f'"{text}" is no network', fix)


def address_of(text: str) -> Address:
    """An address as the resolver or the kernel gives it, IPv4 never in the clothes of IPv6."""
    address = ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
