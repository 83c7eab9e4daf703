"""Which addresses of identity providers are asked, and how long what they said counts: what came over plain http from
elsewhere could be anybody's."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

#: seconds for which a key set counts while its issuer is away: a key that the issuer took back must not live for as
#: long as somebody keeps the issuer unreachable
STALE = 86_400.0


def refusal(url: str) -> str | None:
    """Why an address is not asked, or None."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "it is no address"
    host = parts.hostname or ""
    if host and (parts.scheme == "https" or (parts.scheme == "http" and is_local(host))):
        return None
    return "it must be https (http is taken for this machine only)"


def is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
