"""The keys by which cloudlet signs: the first of the PEM signs, all of it is published, so that one can be rotated.

To rotate, put a new key before the old one and take the old one out when the last token that it signed has expired.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk, jwt

from cloudlet.errors import InternalError
from cloudlet.gateway.tokens.issuers import ISSUED_BY

_END = "-----END PRIVATE KEY-----"


class Signer:
    """Keys of P-256, named by their thumbprint (RFC 7638). Raises InternalError: cloudlet made them itself."""

    def __init__(self, pem: str) -> None:
        parts = [part + _END for part in pem.split(_END) if "BEGIN" in part]
        try:
            self._keys = [_key(part.encode()) for part in parts]
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InternalError(f"the key that signs tokens cannot be read: {error}") from error
        if not self._keys:
            raise InternalError("there is no key to sign tokens with")

    def sign(self, claims: Mapping[str, Any]) -> str:
        key = self._keys[0]
        header = {"alg": ISSUED_BY, "kid": key.kid, "typ": "at+jwt"}
        return jwt.encode(header, dict(claims), key, algorithms=[ISSUED_BY])

    def published(self) -> list[jwk.Key]:
        """The public keys."""
        return [jwk.ECKey.import_key(item) for item in self.document()["keys"]]

    def document(self) -> dict[str, Any]:
        """The key set (RFC 7517)."""
        return {"keys": [key.as_dict(private=False, use="sig", alg=ISSUED_BY) for key in self._keys]}


def _key(pem: bytes) -> jwk.ECKey:
    loaded = serialization.load_pem_private_key(pem, None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or not isinstance(loaded.curve, ec.SECP256R1):
        raise ValueError("it is no key of P-256")
    key = jwk.ECKey.import_key(pem)
    key.ensure_kid()
    return key
