"""Signed tokens: `CLAIMS.SIGNATURE`, both base64url, the signature HMAC-SHA256 of CLAIMS.

Not a JWT: there is one algorithm and so no header that could name another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any


def sign(claims: dict[str, Any], key: bytes) -> str:
    """`claims` must have `expires`, in Unix seconds."""
    payload = _encode(json.dumps(claims, separators=(",", ":")).encode())
    return f"{payload}.{_signature(payload, key)}"


def verify(token: str, key: bytes, now: float) -> dict[str, Any] | None:
    """The claims of a token that we signed and that has not expired, else None."""
    payload, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(payload, key).encode()):
        return None
    try:
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error):
        return None
    return claims if claims["expires"] > now else None


def _signature(payload: str, key: bytes) -> str:
    return _encode(hmac.digest(key, payload.encode(), hashlib.sha256))


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
