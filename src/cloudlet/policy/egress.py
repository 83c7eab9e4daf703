"""Whether a service may reach a destination: first by what it asks for, then by the addresses that this leads to.

    name      a rule must allow it, or it is not even looked up (no way out by DNS); denied stays denied
    address   of an allowed name, or asked for itself: never a denied network, and what is not public only by a network
              that is named in `allow`, for `*` and names do not open what lies inside

Judged are exactly the addresses that are connected to: a name that answers differently the second time is not asked a
second time. Every refusal says why, and by which kind of RFC 9209, 2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from cloudlet.stack.destinations import MAIL, Address, Destination

_DENIED, _PROHIBITED = "http_request_denied", "destination_ip_prohibited"
#: what is not on the public internet, by IANA's registries of special-purpose and multicast addresses; not
#: `is_global`, which says otherwise from one Python to the next
_SPECIAL_4 = tuple(
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/3"),
    )
)
#: global unicast, and what in it is not: protocol assignments with Teredo, documentation, 6to4
_GLOBAL_6 = ip_network("2000::/3")
_SPECIAL_6 = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`because` is a sentence where it is refused; `kind` the error type of RFC 9209."""

    allowed: bool
    because: str = ""
    kind: str = ""


ALLOWED = Verdict(True)


@dataclass(frozen=True, slots=True)
class Choice:
    """Addresses that may be connected to, in the resolver's order; none where the verdict refuses."""

    verdict: Verdict
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules of one service. `own` says of an address whether it is this machine's."""

    allow: Sequence[Destination]
    deny: Sequence[Destination]
    own: Callable[[Address], bool] = lambda _: False

    def admits(self, host: str | Address, port: int) -> Verdict:
        """What was asked for, before any name is looked up."""
        host = host if isinstance(host, str) else _inner(host)
        for rule in self.deny:
            if rule.covers_port(port) and rule.covers_host(host):
                return Verdict(False, f'denied by "{rule.text}"', _DENIED)
        covering = [rule for rule in self.allow if rule.covers_host(host)]
        if any(rule.lets_to_port(port) for rule in covering):
            return ALLOWED
        if port == MAIL and any(rule.covers_port(port) for rule in covering):
            return Verdict(False, f"port {MAIL} is allowed by no rule that names it", _DENIED)
        return Verdict(False, f"allowed by no rule{' for this port' if covering else ''}", _DENIED)

    def choose(self, port: int, addresses: Iterable[Address]) -> Choice:
        """Of the addresses that an admitted destination has, those to connect to. One denied denies all."""
        found = tuple(addresses)
        for address in found:
            for rule in self.deny:
                if rule.covers_port(port) and rule.contains(_inner(address)):
                    return Choice(Verdict(False, f'{address} is denied by "{rule.text}"', _PROHIBITED))
        good = tuple(address for address in found if self._opens(address, port))
        if good:
            return Choice(ALLOWED, good)
        shown = ", ".join(map(str, found)) or "no address"
        because = f"it leads to {shown}, not on the public internet, and no network that is allowed holds it"
        return Choice(Verdict(False, because, _PROHIBITED))

    def _opens(self, address: Address, port: int) -> bool:
        if is_public(address) and not self.own(address):
            return True
        return any(rule.lets_to_port(port) and rule.contains(_inner(address)) for rule in self.allow)


def is_public(address: Address) -> bool:
    """Whether it is a unicast address of the public internet."""
    inner = _inner(address)
    if isinstance(inner, IPv4Address):
        return not any(inner in network for network in _SPECIAL_4)
    return inner in _GLOBAL_6 and not any(inner in network for network in _SPECIAL_6)


def _inner(address: Address) -> Address:
    """IPv4 in the clothes of IPv6 is judged as what it is: mapped (RFC 4291) and translated (RFC 6052)."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address
    return address
