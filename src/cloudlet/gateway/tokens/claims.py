"""What is read from a token: who, as what, for what, until when; and what it must say of itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Claims = Mapping[str, Any]
#: characters; it goes into a header
LONGEST_USER = 256


class Rejected(Exception):
    """A token that does not count. `because` is one word, for logs and the audit; it never holds the token."""

    def __init__(self, because: str) -> None:
        super().__init__(because)
        self.because = because


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token speaks for. `expires` is seconds since 1970, None where the token does not say."""

    user: str
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    claims: Claims = field(default_factory=dict)
    expires: float | None = None


def principal(claims: Claims, user: str, roles: str, scopes: str) -> Principal:
    """Read by the names of three claims, dotted for what lies deeper."""
    found = at(claims, user)
    who = str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) else ""
    if not 0 < len(who) <= LONGEST_USER or not who.isprintable():
        raise Rejected("no-user")
    return Principal(who, words(at(claims, roles)), words(at(claims, scopes)), claims, _number(claims, "exp"))


def at(claims: Claims, name: str) -> Any:
    """The claim `name`, or where there is none so called, `b` within `a` for `a.b`."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for step in name.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value


def words(value: Any) -> tuple[str, ...]:
    """Text split at blanks, or the texts of a list."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def check_times(claims: Claims, now: float, leeway: float) -> None:
    """`exp` must be there (a token for ever cannot be taken back), `nbf` and `iat` count where they are
    (RFC 7519, 4.1.4 to 4.1.6)."""
    expires, begins, issued = (_number(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise Rejected("no-expiry")
    if expires + leeway <= now:
        raise Rejected("expired")
    if max(begins or 0.0, issued or 0.0) - leeway > now:
        raise Rejected("not-yet")


def check_parties(claims: Claims, issuer: str | None, audience: str | None) -> None:
    """Exactly these, where they are asked for."""
    if issuer is not None and claims.get("iss") != issuer:
        raise Rejected("issuer")
    if audience is not None and audience not in audiences(claims):
        raise Rejected("audience")


def audiences(claims: Claims) -> tuple[str, ...]:
    """`aud` is one text or a list of them; unlike scopes it may hold blanks."""
    value = claims.get("aud")
    return (value,) if isinstance(value, str) else words(value)


def _number(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e12:
        raise Rejected("malformed")
    return float(value)
