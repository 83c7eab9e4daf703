"""What an address asks for, and where a browser is sent: a path of this very host, or nowhere. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from cloudlet.gateway.headers import Headers
from cloudlet.gateway.problem import Refusal

_LONGEST = 2048
#: what browsers take out of an address before they read it, and what they take for a slash
_TRICKS = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def local(to: str) -> str:
    """The path as a Location header has it. Raises Refusal for whatever could lead to another host: an address with
    scheme or host, `//host`, `/\\host`, and the tabs and line ends that browsers overlook."""
    if not to.startswith("/") or to.startswith("//") or _TRICKS.search(to) or len(to) > _LONGEST:
        raise Refusal(400, "`to` must be a path of this host, like /orders", reason="open-redirect")
    return quote(to, safe="/%?#[]@!$&'()*+,;=:~-._", errors="replace")


@dataclass(frozen=True, slots=True)
class Origin:
    """How the browser reaches us, as the edge says; what the client says of it was taken out there."""

    scheme: str
    host: str

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}"


def origin(headers: Headers) -> Origin:
    """Raises Refusal for a host that is none."""
    scheme = "https" if headers.get("x-forwarded-proto") == "https" else "http"
    host = headers.get("x-forwarded-host") or headers.get("host")
    if not _HOST.fullmatch(host):
        raise Refusal(400, "the Host header is not a host", reason="host")
    return Origin(scheme, host.lower())


def same_origin(headers: Headers, ours: Origin) -> bool:
    """Whether a page of ours sent this. Sec-Fetch-Site says so where browsers send it (https and this machine), Origin
    everywhere else; nobody else's page can set either."""
    site = headers.get("sec-fetch-site")
    if site:
        return site in ("same-origin", "none")
    return headers.get("origin").lower() == str(ours)


def parameters(query: str) -> dict[str, str]:
    """Of a query. Raises Refusal for one that is there twice."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=30)
    except ValueError as error:
        raise Refusal(400, "the query cannot be read", reason="query") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refusal(400, "a parameter is there twice", reason="query")
    return found
