"""The ID token held against what was asked for (OpenID Connect Core 1.0, 3.1.3.7). Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any

from cloudlet.gateway.tokens.claims import Rejected, audiences, check_parties, check_times
from cloudlet.gateway.tokens.jwt import Unverified
from cloudlet.gateway.tokens.keys import PUBLIC_ALGORITHMS, Key, with_aliases

#: seconds that the provider's clock may differ
LEEWAY = 30.0


def algorithms(announced: object) -> frozenset[str]:
    """What the provider says it signs with, as far as a published key can verify it: never `none`, never a secret."""
    named = announced if isinstance(announced, list) else ["RS256"]
    return with_aliases(name for name in PUBLIC_ALGORITHMS if name in named) or frozenset({"RS256"})


def validated(
    token: Unverified,
    keys: Iterable[Key],
    allowed: frozenset[str],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    now: float,
) -> dict[str, Any]:
    """Its claims. Raises Rejected."""
    claims = token.verified(keys, allowed)
    check_parties(claims, issuer, client_id)
    check_times(claims, now, LEEWAY)
    party = claims.get("azp")
    if (party is not None or len(audiences(claims)) > 1) and party != client_id:
        raise Rejected("azp")
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise Rejected("nonce")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise Rejected("no-user")
    return claims
