"""Tokens: JWTs (RFC 7519) signed with HS256, by a key that the gateway has too and so can check them by itself."""

from __future__ import annotations

from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

#: who signs, and the one algorithm that is ever taken
ISSUER, ALGORITHM = "shop", "HS256"


def sign(claims: dict[str, Any], key: bytes) -> str:
    """`claims` must have `exp`, in Unix seconds."""
    return jwt.encode({"alg": ALGORITHM}, {"iss": ISSUER, **claims}, OctKey.import_key(key))


def verify(token: str, key: bytes, now: float) -> dict[str, Any] | None:
    """The claims of a token that we signed and that has not expired, else None."""
    registry = jwt.JWTClaimsRegistry(
        now=int(now), iss={"essential": True, "value": ISSUER}, exp={"essential": True}, sub={"essential": True}
    )
    try:
        claims = jwt.decode(token, OctKey.import_key(key), algorithms=[ALGORITHM]).claims
        registry.validate(claims)
    except (JoseError, ValueError):
        return None
    return dict(claims)
