"""One signed token (RFC 7515, 7519) against keys and what it must say. Pure, but for the keys' own source."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from cloudlet.gateway.tokens.claims import Rejected
from cloudlet.gateway.tokens.keys import Key, candidates

#: characters of a whole token; the edge takes no longer header
LONGEST = 16_384


class Registry(jws.JWSRegistry):
    """Takes certificates and unknown parameters in headers, but none that is critical; and EdDSA by its old name,
    which RFC 9864 deprecates and everybody uses, without a warning."""

    max_header_length = LONGEST
    max_payload_length = LONGEST

    def get_alg(self, name: str) -> Any:
        if self.allowed is None or name not in self.allowed:
            raise Rejected("algorithm")
        return self.algorithms[name]


class Unverified:
    """A token taken apart; nothing of it counts before `verified`."""

    def __init__(self, token: str) -> None:
        if len(token) > LONGEST:
            raise Rejected("too-long")
        try:
            self._parts = jws.extract_compact(token.encode("ascii"), registry=_READER)
        except (JoseError, ValueError, RecursionError, AttributeError) as error:
            raise Rejected("malformed") from error
        self.algorithm, self.kid = _named(self._parts.headers())

    def verified(self, keys: Iterable[Key], algorithms: Collection[str]) -> dict[str, Any]:
        """The claims, once a key has made the signature. Raises Rejected."""
        if self.algorithm not in algorithms or self.algorithm.lower() == "none":
            raise Rejected("algorithm")
        fitting = candidates(keys, self.algorithm, self.kid)
        if not fitting:
            raise Rejected("unknown-key")
        registry = Registry(algorithms=list(algorithms), strict_check_header=False)
        if not any(self._signed_by(key, registry) for key in fitting):
            raise Rejected("signature")
        return self._claims()

    def _signed_by(self, key: Key, registry: Registry) -> bool:
        try:
            return jws.validate_compact(self._parts, key, registry=registry)
        except (JoseError, ValueError):
            return False

    def _claims(self) -> dict[str, Any]:
        try:
            claims = json.loads(self._parts.payload or b"")
        except (ValueError, RecursionError) as error:
            raise Rejected("malformed") from error
        if not isinstance(claims, dict):
            raise Rejected("malformed")
        return claims


def _named(header: Any) -> tuple[str, str | None]:
    """Algorithm and key. Nothing critical is understood here (RFC 7515, 4.1.11)."""
    if not isinstance(header, dict) or "crit" in header:
        raise Rejected("malformed")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not (kid is None or isinstance(kid, str)):
        raise Rejected("malformed")
    return algorithm, kid


_READER = Registry(strict_check_header=False)
