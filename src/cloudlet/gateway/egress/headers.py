"""Which header fields are passed on: none that is meant for the next hop only, none that tells who asks.

The outside sees the proxy's own address and what the service itself says. RFC 9110, 7.6.3 wants `Via` on whatever a
proxy passes on; it is left out on purpose, as the identity of the client is to stay hidden.
"""

from __future__ import annotations

from collections.abc import Iterable

from cloudlet.gateway.egress.fields import Fields, tokens

#: RFC 9110, 7.6.1; RFC 9112, C.2.2
_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"proxy-authorization", b"proxy-authenticate", b"proxy-authentication-info", b"proxy-status"),
    }
)
#: what proxies and cloudlet's own edge say of a client
_WHO = frozenset(
    {
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"client-ip", b"true-client-ip", b"x-cluster-client-ip"),
        *(b"cf-connecting-ip", b"x-original-forwarded-for", b"x-proxyuser-ip"),
    }
)
_WHO_PREFIXES = (b"x-forwarded-", b"cloudlet-", b"x-cloudlet-")
#: written anew by the proxy itself
_OURS = frozenset({b"host", b"content-length", b"expect"})


def outward(fields: Fields) -> Iterable[tuple[bytes, bytes]]:
    """A request's, as the outside gets them."""
    named = set(tokens(fields, b"connection"))
    for name, value in fields:
        lower = name.lower()
        kept = lower not in _HOP and lower not in _WHO and lower not in _OURS and lower not in named
        if kept and not lower.startswith(_WHO_PREFIXES):
            yield name, value


def inward(fields: Fields) -> Iterable[tuple[bytes, bytes]]:
    """An answer's, as the service gets them."""
    named = set(tokens(fields, b"connection"))
    for name, value in fields:
        lower = name.lower()
        if lower not in _HOP and lower != b"content-length" and lower not in named:
            yield name, value
