"""What a proxy really does with a request: asked of the server behind it, not of its configuration."""

from __future__ import annotations

import http.client

from common import waiting
from peers.proxy import Proxy

#: what a client claims that it may not
_CLAIMED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


class WrongAnswer(Exception):
    """A proxy did not pass a plain request on."""


def wait_answering(proxy: Proxy) -> None:
    """Some listen before they have their routes. Raises TookTooLong."""

    def answers() -> bool:
        try:
            return bool(_seen(proxy))
        except (WrongAnswer, OSError, http.client.HTTPException):
            return False

    waiting.until(answers, f"{proxy.name} passing a request on", every=0.1)


def duties(proxy: Proxy) -> dict[str, str]:
    """What the server is told of the client's address, the scheme, the host, and by which request id."""
    seen = _seen(proxy)
    return {
        "client address": _told(seen.get("for", ""), _CLAIMED["X-Forwarded-For"]),
        "scheme": _told(seen.get("proto", ""), _CLAIMED["X-Forwarded-Proto"]),
        "host": "told" if seen.get("host") else "not told",
        "request id": "made" if seen.get("id") else "none",
    }


def _told(value: str, claim: str) -> str:
    """Envoy says another address of this machine for a loopback one: any value counts that the client did not claim."""
    if not value:
        return "not told"
    if claim not in value:
        return "told"
    return "as the client claims" if value == claim else "added to what the client claims"


def _seen(proxy: Proxy) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    try:
        connection.request("GET", "/api/orders/duties", headers=_CLAIMED)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    finally:
        connection.close()
    words = dict(word.partition("=")[::2] for word in body.split())
    if answer.status != 200 or words.get("path") != "/api/orders/duties":
        raise WrongAnswer(f"{proxy.name} answered {answer.status} {body[:200]!r} to a plain request")
    return words
