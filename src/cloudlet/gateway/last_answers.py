"""The last good answers of a route, in the memory of this process, for when its service fails.

One client's answer is never another's: the key holds every header field of the request, so whatever a service may know
clients by (`Authorization`, `Cookie`, `X-Api-Key`, what the edge says), but those that are known to say nothing of it;
of these it holds what the answer says it depends on (`Vary`). Kept is only what HTTP allows to be stored, and nothing
that sets a cookie.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass

from cloudlet.gateway.answers import pack, unpack
from cloudlet.gateway.headers import Headers
from cloudlet.gateway.request import Request
from cloudlet.gateway.response import Response

#: bytes: of one answer, and of all answers of a route
LARGEST, MOST = 1_000_000, 32_000_000
#: fields that say nothing of who asks or for what; `Vary` may name them all the same
_HARMLESS = frozenset(
    {
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-length",
        "dnt",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-unmodified-since",
        "origin",
        "pragma",
        "priority",
        "referer",
        "traceparent",
        "tracestate",
        "upgrade-insecure-requests",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-request-id",
    }
)
_HARMLESS_KIND = "sec-"
_NOT_STORED = re.compile(r"no-store", re.IGNORECASE)
_PRIVATE = re.compile(r"private", re.IGNORECASE)


@dataclass(slots=True)
class Kept:
    at: float
    packed: bytes


class LastAnswers:
    """Ages are in seconds on the caller's clock. The least recently used goes first when there are too many bytes."""

    def __init__(self, longest: float, most: int = MOST) -> None:
        self._longest, self._most, self._bytes = longest, most, 0
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        #: by what is asked for: the request headers that its answer depends on
        self._varies: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def keep(self, request: Request, response: Response, now: float) -> None:
        """The body must have been read."""
        varies = tuple(sorted(name.strip().lower() for name in response.headers.get("vary").split(",") if name.strip()))
        if "*" in varies or not _storable(request, response.headers):
            return
        packed = pack(response)
        if len(packed) > LARGEST:
            return
        asked = _asked(request)
        self._varies[asked] = varies
        self._forget(_key(asked, varies, request))
        self._kept[_key(asked, varies, request)] = Kept(now, packed)
        self._bytes += len(packed)
        while self._bytes > self._most:
            self._forget(next(iter(self._kept)))
        while len(self._varies) > max(1000, 2 * len(self._kept)):
            self._varies.popitem(last=False)

    def find(self, request: Request, now: float) -> tuple[Response, int] | None:
        """The last answer to this very request, and its age."""
        asked = _asked(request)
        varies = self._varies.get(asked)
        key = _key(asked, varies, request) if varies is not None else ""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if now - kept.at > self._longest:
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return unpack(kept.packed), int(now - kept.at)

    def _forget(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        self._bytes -= len(kept.packed) if kept else 0


def _storable(request: Request, headers: Headers) -> bool:
    said = headers.get("cache-control")
    if "set-cookie" in headers or _NOT_STORED.search(said) or _NOT_STORED.search(request.headers.get("cache-control")):
        return False
    known = request.user or "authorization" in request.headers or "cookie" in request.headers
    return bool(known) or not _PRIVATE.search(said)


def _asked(request: Request) -> str:
    """What is asked for, and by whom."""
    fields = sorted(
        f"{name}:{value}"
        for name, value in request.headers.items
        if name not in _HARMLESS and not name.startswith(_HARMLESS_KIND)
    )
    parts = (request.method, request.target, *fields)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _key(asked: str, varies: tuple[str, ...], request: Request) -> str:
    values = "\0".join(f"{name}:{request.headers.get(name)}" for name in varies)
    return asked + hashlib.sha256(values.encode("utf-8", "surrogateescape")).hexdigest()
