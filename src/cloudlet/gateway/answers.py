"""Answers as bytes, for whoever keeps them: 8 hexadecimal digits of the length of a JSON object with status and header
fields, that object, the body."""

from __future__ import annotations

import json

from cloudlet.gateway.headers import Headers
from cloudlet.gateway.response import Response

#: of this one exchange, not of the answer
_PASSING = frozenset({"date", "x-request-id", "content-length", "age"})
_DIGITS = 8


def pack(response: Response) -> bytes:
    """The body must have been read."""
    fields = [
        item for item in response.headers.items if item[0] not in _PASSING and not item[0].startswith("cloudlet-")
    ]
    head = json.dumps({"status": response.status, "headers": fields}).encode()
    return f"{len(head):0{_DIGITS}x}".encode() + head + response.body


def unpack(content: bytes) -> Response:
    end = _DIGITS + int(content[:_DIGITS], 16)
    head = json.loads(content[_DIGITS:end])
    return Response(head["status"], Headers((name, value) for name, value in head["headers"]), content[end:])
