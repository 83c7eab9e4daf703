"""What a request line asks for: `host:port` of CONNECT (RFC 9112, 3.2.3) or an absolute URL (3.2.2).

Read strictly: no userinfo (`http://allowed@evil/`), no backslash, no fragment, no percent-encoding in the host, an
explicit port for CONNECT. What is passed on is written anew from what was read here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

from cloudlet.stack.destinations import Address, parse_host, parse_port
from cloudlet.stack.findings import Fault

_AUTHORITY = re.compile(r"(\[[^\[\]@/\\]*\]|[^:\[\]@/\\]+)(?::([0-9]+))?")
_URL = re.compile(r"(?i:http)://([^/?#]*)([/?][\x21\x24-\x5b\x5d-\x7e]*)?")
_HTTP = 80


@dataclass(frozen=True, slots=True)
class Target:
    """`path` begins with a slash and has the query."""

    host: str | Address
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        """`host:port`, as rules and logs know it."""
        return f"{self._shown}:{self.port}"

    @property
    def host_header(self) -> str:
        return self._shown if self.port == _HTTP else self.authority

    @property
    def _shown(self) -> str:
        return f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)


def parse_authority(text: str) -> Target:
    """Of CONNECT. Raises Fault."""
    host, port = _authority(text)
    if port is None:
        raise Fault(f'"{text}" names no port', "ask for host:port")
    return Target(host, port)


def parse_url(text: str) -> Target:
    """Of any other method. Raises Fault."""
    found = _URL.fullmatch(text)
    if found is None:
        if text.lower().startswith("https:"):
            raise Fault("https is not asked for by a URL", "use CONNECT")
        raise Fault("it is no http:// URL in full", "ask for http://host/path")
    host, port = _authority(found[1])
    path = found[2] or "/"
    return Target(host, _HTTP if port is None else port, path if path.startswith("/") else f"/{path}")


def _authority(text: str) -> tuple[str | Address, int | None]:
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise Fault(f'"{text}" is no host and port', "write host:port, without a user")
    return parse_host(found[1]), parse_port(found[2]) if found[2] else None
