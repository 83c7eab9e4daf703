"""A refusal of the edge's own: marked for log and audit, answered with problem details (RFC 9457) that say what is
wrong. `txn.refused` is the reason's name, as the audit shows it."""

from __future__ import annotations

import json
from http import HTTPStatus

from cloudlet.edge.rendered import quoted

#: what a refused request has as its reason, once and for all steps
REFUSED = "{ var(txn.refused) -m found }"


def refuse(
    status: int, reason: str, detail: str, condition: str, *, headers: tuple[tuple[str, str], ...] = ()
) -> list[str]:
    """Two rules: the reason noted, the answer given. `condition` is in HAProxy's words, all of it to be true."""
    return [
        f"http-request set-var(txn.refused) {quoted(f'str({reason})')} if {condition}",
        answer(status, detail, headers=headers),
    ]


def answer(status: int, detail: str, *, headers: tuple[tuple[str, str], ...] = (), formatted: bool = False) -> str:
    """What a request that is refused by now is told. `formatted`: the detail is a log-format text, HAProxy's
    variables filled in."""
    body = json.dumps({"type": "about:blank", "title": title(status), "status": status, "detail": detail})
    extra = "".join(f" hdr {name} {quoted(value)}" for name, value in (("cache-control", "no-store"), *headers))
    return (
        f"http-request return status {status} content-type application/problem+json{extra}"
        f" {'lf-string' if formatted else 'string'} {quoted(body)} if {REFUSED}"
    )


def title(status: int) -> str:
    # the names of RFC 9110, which older Pythons don't have yet
    return {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}.get(status) or HTTPStatus(
        status
    ).phrase
