"""What the proxy says itself, in text for people and by `Proxy-Status` (RFC 9209) for programs; it goes to the service
only, never outside."""

from __future__ import annotations

from http import HTTPStatus

from cloudlet.gateway.egress.connect import Refusal

_NAME = "cloudlet-egress"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def refusal_bytes(refusal: Refusal, *, method: str = "GET", service: str = "", destination: str = "") -> bytes:
    """The whole answer; the connection is closed after it."""
    whom = f"{service or 'somebody'} → {destination}: " if destination else ""
    text = f"{_NAME}: {whom}{refusal.because}\n".encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        f"Proxy-Status: {_NAME}; error={refusal.kind}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(text)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if refusal.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        lines.append(f'Proxy-Authenticate: Basic realm="{_NAME}", charset="UTF-8"')
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append("Retry-After: 1")
    head = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"
    return head if method == "HEAD" else head + text
