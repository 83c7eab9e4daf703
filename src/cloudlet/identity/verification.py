"""Verification keys, each bound to the algorithms that its kind and curve allow, before a token is ever looked at.

Keys that are too short count as absent (RFC 7518, 3.2 and 3.3), and a secret in a public key set as well. Ed25519 is
left out: HAProxy cannot verify it, cloudlet's gateway service does.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from joserfc import jwk
from joserfc.errors import JoseError

from cloudlet.contracts.guard import VerificationKey
from cloudlet.errors import OperatorError

_HS = ("HS256", "HS384", "HS512")
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_SHORTEST_SECRET, _SHORTEST_RSA = 32, 2048
#: keys of a set that are taken: a token without `kid` is tried against each of its kind
MOST = 64
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def of_secret(secret: str, allowed: Collection[str], where: str) -> VerificationKey:
    """Raises OperatorError where it is too short to keep anybody out."""
    algorithms = _allowed(_HS, allowed)
    # where no algorithm is named, the shortest decides which are taken
    least = max(int(name[2:]) // 8 for name in algorithms) if allowed else _SHORTEST_SECRET
    if len(secret.encode()) < least:
        raise OperatorError(
            f"{where}.secret has {len(secret.encode())} bytes, and {least} are the least that keep anybody out "
            "(RFC 7518, 3.2); make a longer one: openssl rand -base64 96 | cloudlet secret set NAME"
        )
    return VerificationKey(algorithms, secret=secret)


def of_pem(text: bytes, allowed: Collection[str], where: str) -> list[VerificationKey]:
    """The public keys of a file. Raises OperatorError for one that could never count."""
    found = _PEM.findall(text)
    if not found:
        raise OperatorError(f"{where} holds no PUBLIC KEY in PEM; `openssl pkey -in KEY -pubout` writes one")
    keys = []
    for part in found:
        try:
            key = serialization.load_pem_public_key(part)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise OperatorError(f"{where} holds a PUBLIC KEY that cannot be read: {error}") from error
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            if "EdDSA" not in allowed:
                raise OperatorError(
                    f"{where} is a key for EdDSA; add `algorithms: EdDSA`, as it needs cloudlet-gateway"
                )
            continue
        algorithms = _allowed(_of_kind(key), allowed)
        if not algorithms:
            raise OperatorError(f"{where} holds a key that is too short, or of a kind that `algorithms` does not allow")
        keys.append(VerificationKey(algorithms, pem=_pem(key)))
    return keys


def of_set(document: Mapping[str, Any], allowed: Collection[str]) -> list[VerificationKey]:
    """The public keys of a key set (RFC 7517, 5) that HAProxy can use; what is not understood is left out."""
    listed = document.get("keys")
    keys = (_member(item, allowed) for item in (listed[:MOST] if isinstance(listed, list) else ()))
    return [key for key in keys if key is not None]


def _member(item: Any, allowed: Collection[str]) -> VerificationKey | None:
    if not isinstance(item, dict) or item.get("kty") not in ("RSA", "EC") or item.get("use") not in (None, "sig"):
        return None
    kid, algorithm = item.get("kid"), item.get("alg")
    if not isinstance(kid, (str, type(None))):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of short keys, which are left out below
            made: Any = (jwk.RSAKey if item["kty"] == "RSA" else jwk.ECKey).import_key(item)
            key = made.public_key
    except (JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    algorithms = [name for name in _allowed(_of_kind(key), allowed) if algorithm in (None, name)]
    return VerificationKey(tuple(algorithms), kid, pem=_pem(key)) if algorithms else None


def _of_kind(key: object) -> tuple[str, ...]:
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA if key.key_size >= _SHORTEST_RSA else ()
    return _CURVES.get(key.curve.name, ()) if isinstance(key, ec.EllipticCurvePublicKey) else ()


def _allowed(names: Iterable[str], allowed: Collection[str]) -> tuple[str, ...]:
    """Those of the kind; where the file names algorithms, only those."""
    return tuple(name for name in names if not allowed or name in allowed)


def _pem(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_bytes(serialization.Encoding.PEM, form).decode())
