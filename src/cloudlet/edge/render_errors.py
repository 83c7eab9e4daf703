"""The edge's own answers: problem details as JSON (RFC 9457), whole responses, because HAProxy sends some of them
before there is a request (a malformed one) and then knows only ready-made ones."""

from __future__ import annotations

import json

_PROBLEMS = {
    400: ("Bad Request", "the request is malformed or ambiguous; the edge refuses to guess what it means"),
    401: ("Unauthorized", "the request carries no valid credentials"),
    403: ("Forbidden", "the edge refuses this request"),
    404: ("Not Found", "no route of the gateway takes this host and path"),
    405: ("Method Not Allowed", "the route does not take this method"),
    408: ("Request Timeout", "the request did not arrive completely in time"),
    413: ("Content Too Large", "the request is larger than the route takes"),
    429: ("Too Many Requests", "a rate limit is reached; try again later"),
    500: ("Internal Server Error", "the edge failed on this request"),
    502: (
        "Bad Gateway",
        "the instance broke off or answered what is not HTTP; the request may have had its effect",
    ),
    503: ("Service Unavailable", "no instance is free or present to answer; try again"),
    504: ("Gateway Timeout", "the instance did not answer in time; the request may have had its effect"),
}
_RETRY_AFTER = "retry-after: 1\r\n"


def error_files() -> dict[str, str]:
    return {error_file(status): _response(status) for status in _PROBLEMS}


def error_lines() -> list[str]:
    return [f"errorfile {status} {error_file(status)}" for status in _PROBLEMS]


def error_file(status: int) -> str:
    return f"error-{status}.http"


def _response(status: int) -> str:
    title, detail = _PROBLEMS[status]
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}) + "\n"
    return (
        f"HTTP/1.1 {status} {title}\r\n"
        "content-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\n"
        "cache-control: no-store\r\n"
        f"{_RETRY_AFTER if status == 503 else ''}"
        "\r\n"
        f"{body}"
    )
