"""Keys of a file, a secret or a key set, and which of them may have made a signature.

An algorithm is bound to its kind of key and curve before anything is computed: a public RSA key is never taken for a
secret of HS256, and `none` is no algorithm. Keys that are too short count as absent (RFC 7518, 3.2 and 3.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from joserfc import jwk
from joserfc.errors import JoseError

from cloudlet.errors import OperatorError

Key = jwk.Key

_SECRETS = ("HS256", "HS384", "HS512")
#: algorithm → kind of key, curve
_BINDING: Mapping[str, tuple[str, str | None]] = {
    **dict.fromkeys(_SECRETS, ("oct", None)),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
#: one signature under two names (RFC 9864, 2.2)
_SAME = frozenset({"EdDSA", "Ed25519"})
#: what a published key can sign
PUBLIC_ALGORITHMS = tuple(name for name in _BINDING if name not in _SECRETS)
#: keys of a set that are looked at: one signature costs up to 0.2 ms
_MOST = 64
_SHORTEST_SECRET, _SHORTEST_RSA = 32, 2048


def of_secret(secret: str, name: str) -> list[Key]:
    """Raises OperatorError where it is too short to keep anybody out."""
    if len(secret.encode()) < _SHORTEST_SECRET:
        raise OperatorError(f"identity.jwt.{name}.secret has fewer than {_SHORTEST_SECRET} bytes; set a longer one")
    try:
        return [jwk.OctKey.import_key(secret)]
    except (JoseError, ValueError) as error:
        raise OperatorError(
            f"identity.jwt.{name}.secret is a public key; write it to a file and name it in `keys`"
        ) from error


def of_pem(text: bytes, name: str) -> list[Key]:
    """The public keys of a PEM file. Raises OperatorError."""
    end = b"-----END PUBLIC KEY-----"
    parts = [part + end for part in text.split(end) if b"BEGIN" in part]
    try:
        return [_imported(serialization.load_pem_public_key(part)) for part in parts] or _no_keys(name)
    except (ValueError, TypeError, UnsupportedAlgorithm, JoseError) as error:
        raise OperatorError(f"identity.jwt.{name}.keys: not a public key in PEM: {error}") from error


def _no_keys(name: str) -> list[Key]:
    raise OperatorError(f"identity.jwt.{name}.keys: no `BEGIN PUBLIC KEY` in the file; openssl pkey -pubout writes one")


def _imported(key: PublicKeyTypes) -> Key:
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    kinds = (jwk.RSAKey, jwk.ECKey, jwk.OKPKey)
    for kind in kinds:
        try:
            return kind.import_key(pem)
        except (JoseError, ValueError, TypeError):
            continue
    raise ValueError("neither RSA, EC nor Ed25519")


def of_set(document: Mapping[str, Any]) -> list[Key]:
    """The public keys of a key set (RFC 7517, 5); what is not understood is left out, secrets are."""
    listed = document.get("keys")
    keys = [_member(item) for item in listed[:_MOST]] if isinstance(listed, list) else []
    return [key for key in keys if key is not None]


def _member(value: Any) -> Key | None:
    if not isinstance(value, dict) or value.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if value["kty"] == "OKP":
        # its curve says which one; the name that stands here may be the old or the new
        value = {name: item for name, item in value.items() if name != "alg"}
    try:
        return jwk.import_key(value)
    except (JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None


def with_aliases(algorithms: Iterable[str]) -> frozenset[str]:
    """The algorithms under all their names."""
    named = frozenset(algorithms)
    return named | _SAME if named & _SAME else named


def candidates(keys: Iterable[Key], algorithm: str, kid: str | None) -> Sequence[Key]:
    """The keys that may have made such a signature. With a `kid`, those so called or without a name."""
    fitting = [key for key in keys if _fits(key, algorithm)]
    if kid is None:
        return fitting
    return [key for key in fitting if key.get("kid") in (kid, None)]


def _fits(key: Key, algorithm: str) -> bool:
    kind, curve = _BINDING.get(algorithm, ("", None))
    if key.key_type != kind or (curve is not None and key.get("crv") != curve):
        return False
    if key.get("use") not in (None, "sig") or key.get("alg") not in (None, algorithm):
        return False
    return _long_enough(key)


def _long_enough(key: Key) -> bool:
    if isinstance(key, jwk.OctKey):
        return len(key.raw_value) >= _SHORTEST_SECRET
    return not isinstance(key, jwk.RSAKey) or key.public_key.key_size >= _SHORTEST_RSA
