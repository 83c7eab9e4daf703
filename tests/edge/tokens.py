"""Tokens as issuers make them, and as attackers do."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from joserfc import jwk, jws

from cloudlet.contracts.guard import VerificationKey

SECRET = "a secret of the issuer's, 32 bytes long"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
EC = {name: ec.generate_private_key(curve) for name, curve in CURVES.items()}
PRIVATE = {**dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA), **EC}


def pem(key: Any) -> str:
    public = key.public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token of the issuer says; None leaves a claim out."""
    now = int(time.time())
    said = {"iss": "https://issuer.test", "aud": "shop", "sub": "alice", "iat": now, "exp": now + 600, **changes}
    return {name: value for name, value in said.items() if value is not None}


def token(algorithm: str = "HS256", key: Any = None, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Signed by the usual key of the algorithm, or by `key`: a private key, or the secret's bytes."""
    if key is None:
        key = SECRET.encode() if algorithm.startswith("HS") else PRIVATE[algorithm]
    made = jwk.OctKey.import_key(key) if isinstance(key, bytes) else _imported(key)
    protected = {"alg": algorithm, "typ": "JWT", **(header or {})}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return jws.serialize_compact(protected, json.dumps(claims(**changes)), made, registry=registry)


def _imported(key: Any) -> Any:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (jwk.RSAKey if isinstance(key, rsa.RSAPrivateKey) else jwk.ECKey).import_key(private)


def encoded(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def odd(header: dict[str, Any]) -> str:
    """RS256, with a header that a library would refuse to write."""
    text = f"{encoded({'alg': 'RS256', **header})}.{encoded(claims())}"
    return f"{text}.{encoded(RSA.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def unsigned(algorithm: str, **changes: Any) -> str:
    return f"{encoded({'alg': algorithm})}.{encoded(claims(**changes))}."


def key(algorithm: str, kid: str | None = None, made: Any = None) -> VerificationKey:
    """What the edge is given to verify such tokens."""
    if algorithm.startswith("HS"):
        return VerificationKey((algorithm,), kid, secret=SECRET)
    return VerificationKey((algorithm,), kid, pem=pem(made or PRIVATE[algorithm]))
