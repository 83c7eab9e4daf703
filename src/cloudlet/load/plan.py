"""What load to make: which requests, how many, how fast, for how long, and what counts as a success."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cloudlet.errors import OperatorError

#: RFC 9110 9.2.2: sending one of these twice asks for no more than sending it once
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Request:
    """One kind of request in a mix. `weight` is its share: of 10 requests weighted 9 and 1, exactly 9 are
    the first.

    `target` is the path and query; None stands for those of the plan's URL.
    """

    method: str = "GET"
    target: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    weight: int = 1


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """A bounded load; times in seconds.

    With `rate` (requests per second) the loop is open: a request is due whether or not earlier ones came
    back, and its latency counts from when it was due. With `concurrency` it is closed: so many clients,
    each sending its next request when the last was answered. It ends after `requests` or `duration`,
    whichever comes first, and never later than `duration` and one `timeout`.
    """

    url: str
    rate: float | None = None
    concurrency: int | None = None
    duration: float | None = None
    requests: int | None = None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: requests of several kinds, instead of `method` and `body`; `headers` go with all of them
    mix: tuple[Request, ...] = ()
    #: intervals between due times: `fixed`, or `poisson` as independent users make them (the same for one
    #: `seed`)
    arrivals: str = "fixed"
    seed: int = 1
    #: how many connections an open loop may hold; a closed one holds its concurrency
    connections: int = 256
    timeout: float = 10.0
    #: send once more what failed with its connection and may be sent twice, as browsers and most clients do
    retry: bool = False
    #: ranges of statuses that are a success
    expect: tuple[tuple[int, int], ...] = ((200, 399),)
    #: count answers by the value of this header
    by_header: str | None = None
    #: each request carries its number (1, 2, …) in this header, the same when it is sent again
    number_header: str | None = None
    #: check the server's certificate, against the file `authority` instead of the system's when given
    verify: bool = True
    authority: str | None = None

    def __post_init__(self) -> None:
        """Raises OperatorError when the plan has no end, no pace or no usable URL."""
        if (self.rate is None) == (self.concurrency is None):
            raise OperatorError("a load needs either a rate or a concurrency, not both")
        if self.duration is None and self.requests is None:
            raise OperatorError("a load needs an end: give a duration or a number of requests")
        for name in ("rate", "concurrency", "duration", "requests", "connections", "timeout"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise OperatorError(f"{name} {value} is not a positive number")
        if self.arrivals not in ("fixed", "poisson"):
            raise OperatorError(f'arrivals "{self.arrivals}" is neither fixed nor poisson')
        if any(request.weight < 1 for request in self.mix):
            raise OperatorError("each weight in a mix must be at least 1")
        self.place()
        for number, request in enumerate(self.kinds()):
            self.render(request, number)

    def kinds(self) -> tuple[Request, ...]:
        return self.mix or (Request(self.method, body=self.body),)

    def place(self) -> Place:
        """Where the URL points. Raises OperatorError."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise OperatorError(f'"{self.url}" is not a URL: {error}') from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OperatorError(f'"{self.url}" is not a URL; write http://HOST:PORT/PATH or https://…')
        tls = parts.scheme == "https"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        authority = parts.netloc.rpartition("@")[2]
        return Place(parts.hostname, port or (443 if tls else 80), tls, authority, target)

    def render(self, request: Request, number: int) -> tuple[bytes, bytes]:
        """The bytes on the wire before and after the place of `number_header`. Raises OperatorError."""
        place = self.place()
        headers = {"Host": place.authority, "User-Agent": "cloudlet-load", "Accept": "*/*"}
        for name, value in {**self.headers, **request.headers}.items():
            same = next((known for known in headers if known.lower() == name.lower()), name)
            headers[same] = value
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(request.body))
        target = request.target or place.target
        if not _TOKEN.fullmatch(request.method) or not re.fullmatch(r"[!-~]+", target):
            raise OperatorError(f'"{request.method} {target}" is not a request; encode the path as in a URL')
        for name, value in headers.items():
            if not _TOKEN.fullmatch(name) or re.search(r"[\r\n\0]", value):
                raise OperatorError(f'"{name}: {value}" is not a header')
        lines = [
            f"{request.method} {target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n", b"\r\n" + request.body


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart: whom to connect to, and what to ask for there."""

    host: str
    port: int
    tls: bool
    authority: str
    target: str
