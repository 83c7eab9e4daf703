"""What of a request's headers a gRPC service is told: who asks, on whose behalf, and within which trace.

gRPC is POST throughout, which nobody repeats. What came as GET may be repeated, and says so to the edge by a key: when
the server that has it dies, another one is asked.
"""

from __future__ import annotations

import secrets

from cloudlet.gateway.request import SAFE, Request

_KEY = "idempotency-key"
_NAMES = frozenset({"authorization", "x-request-id", "traceparent", "tracestate", "baggage", "accept-language", _KEY})
_PREFIX = "x-forwarded-"


def metadata(request: Request) -> tuple[tuple[str, str], ...]:
    """In ASCII, as gRPC asks for (PROTOCOL-HTTP2.md, Custom-Metadata); a value that is not is left out."""
    told = [
        (name, value)
        for name, value in request.headers.items
        if (name in _NAMES or name.startswith(_PREFIX)) and not name.endswith("-bin") and _plain(value)
    ]
    if request.method in SAFE and _KEY not in request.headers:
        told.append((_KEY, secrets.token_hex(16)))
    return tuple(told)


def _plain(value: str) -> bool:
    return value.isascii() and value.isprintable()
