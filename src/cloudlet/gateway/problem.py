"""What goes wrong with a request, as problem details (RFC 9457).

Refusal             the request may not go on as it is; the edge logs its `reason` as the cause
└── Unanswered      the service asked gave no answer: unreachable (502), too slow (504), or not to be understood
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from cloudlet.gateway.headers import Headers
from cloudlet.gateway.response import Response

#: the edge takes it off the answer and logs it as why the request was refused
REFUSED = "cloudlet-refused"
#: names of RFC 9110 that older Pythons don't have yet
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}


class Refusal(Exception):
    """Raised by any step; becomes the answer. `reason` is a stable word such as `schema`; empty is none for the log."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.reason = status, detail, reason
        self.headers, self.members = dict(headers or {}), members

    def response(self) -> Response:
        title = _TITLES.get(self.status) or HTTPStatus(self.status).phrase
        said = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.members}
        headers = Headers([("content-type", "application/problem+json"), ("cache-control", "no-store")])
        for name, value in self.headers.items():
            headers.set(name, value)
        if self.reason:
            headers.set(REFUSED, self.reason)
        return Response(self.status, headers, json.dumps(said, ensure_ascii=False).encode("utf-8", "replace") + b"\n")


class Unanswered(Refusal):
    """`reason` here is for whoever reads the answer: `unreachable`, `timeout`, `broken`."""

    def __init__(self, status: int, detail: str, why: str) -> None:
        super().__init__(status, detail)
        self.why = why
