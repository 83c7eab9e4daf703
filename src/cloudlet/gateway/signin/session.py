"""The session of a browser that signed in: a JWT (HS256) in a cookie, which the edge verifies by the same key.

It holds who it is, their roles, and as many of the provider's other claims as fit: policies look at them, and services
are told. What is only about the token itself stays out. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from joserfc import jwk, jwt

from cloudlet.contracts.guard import session_issuer
from cloudlet.gateway.tokens.claims import Principal

#: bytes of all claims together; a cookie holds 4096 with its name, after base64 and the signature
LARGEST_CLAIMS = 2048
_PROTOCOL = frozenset(
    {"iss", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash", "auth_time", "acr", "amr"}
    | {"sid", "sub", "roles", "typ", "session_state"}
)


class TooManyRoles(Exception):
    """User and roles alone are more than a cookie holds."""


def session_claims(name: str, who: Principal, lifetime: float, now: float) -> dict[str, Any]:
    """What the cookie says. The short claims come first, so that one long one does not drive out the others."""
    said: dict[str, Any] = {
        "iss": session_issuer(name),
        "sub": who.user,
        "roles": list(who.roles),
        "iat": int(now),
        "exp": int(now + lifetime),
    }
    left = LARGEST_CLAIMS - _size(said)
    if left < 0:
        raise TooManyRoles
    others = {name: value for name, value in who.claims.items() if name not in _PROTOCOL and value is not None}
    for name, value in sorted(others.items(), key=lambda item: _size(dict([item]))):
        left -= _size({name: value})
        if left >= 0:
            said[name] = value
    return said


def signed(claims: Mapping[str, Any], key: str) -> str:
    return jwt.encode({"alg": "HS256"}, dict(claims), jwk.OctKey.import_key(key), algorithms=["HS256"])


def _size(value: Mapping[str, Any]) -> int:
    return len(json.dumps(value, separators=(",", ":")).encode())
