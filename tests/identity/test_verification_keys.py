"""Which keys may verify what; what is too weak, secret or strange is left out or refused."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwk

from cloudlet.errors import OperatorError
from cloudlet.identity import verification

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC_KEY = ec.generate_private_key(ec.SECP384R1())
BITCOIN = ec.generate_private_key(ec.SECP256K1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
ALL_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


def public(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))


def private(key: Any) -> bytes:
    none = serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none))


def member(key: Any, **more: Any) -> dict[str, Any]:
    kind = jwk.RSAKey if isinstance(key, rsa.RSAPrivateKey) else jwk.ECKey
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {**kind.import_key(public(key)).as_dict(private=False), **more}


def test_an_algorithm_is_of_the_keys_kind_and_curve() -> None:
    """What the file allows narrows that, and never widens it."""
    assert verification.of_pem(public(RSA_KEY), (), "x")[0].algorithms == ALL_RSA
    assert verification.of_pem(public(RSA_KEY), ("HS256", "RS256"), "x")[0].algorithms == ("RS256",)
    assert verification.of_pem(public(EC_KEY), (), "x")[0].algorithms == ("ES384",)
    assert verification.of_secret("x" * 32, (), "x").algorithms == ("HS256", "HS384", "HS512")
    two = verification.of_pem(public(RSA_KEY) + public(EC_KEY), (), "x")
    assert [key.algorithms for key in two] == [ALL_RSA, ("ES384",)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no PUBLIC KEY"),
        (private(RSA_KEY), "no PUBLIC KEY"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "cannot be read"),
        (public(WEAK), "too short"),
        (public(BITCOIN), "too short, or of a kind"),
        (public(EDWARDS), "algorithms: EdDSA"),
    ],
)
def test_files_that_could_never_verify_anything_are_refused(content: bytes, reason: str) -> None:
    """With the reason, before anything is changed."""
    with pytest.raises(OperatorError, match=reason):
        verification.of_pem(content, (), "issuer.pem")


def test_eddsa_is_left_to_the_gateway_service() -> None:
    """Where the file says that it is meant."""
    assert verification.of_pem(public(EDWARDS), ("EdDSA",), "x") == []


def test_short_secrets_are_refused_without_being_shown() -> None:
    """32 bytes at least, as RFC 7518 asks."""
    with pytest.raises(OperatorError, match="has 31 bytes") as refused:
        verification.of_secret("s" * 31, (), "identity.jwt.shop")
    assert "sss" not in str(refused.value)


def test_a_set_gives_what_is_understood() -> None:
    """Secrets, encryption keys, weak keys, strange kinds and nonsense in it are left out; names and algorithms bind."""
    document = {
        "keys": [
            member(RSA_KEY, kid="one", alg="RS256", use="sig"),
            member(EC_KEY, kid="two"),
            member(RSA_KEY, kid="enc", use="enc"),
            member(RSA_KEY, kid="hs", alg="HS256"),
            member(WEAK, kid="weak"),
            {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
            {"kty": "RSA", "n": "!!", "e": "AQAB"},
            {"kty": "EC"},
            "nonsense",
            None,
            member(EC_KEY, kid=7),
        ]
    }
    found = verification.of_set(document, ())
    assert [(key.kid, key.algorithms) for key in found] == [("one", ("RS256",)), ("two", ("ES384",))]
    assert all("PUBLIC KEY" in key.pem for key in found)
    assert verification.of_set({"keys": "x"}, ()) == [] and verification.of_set({}, ()) == []
    assert verification.of_set(document, ("ES384",))[0].kid == "two"
    many = {"keys": [member(EC_KEY, kid=str(n)) for n in range(100)]}
    assert len(verification.of_set(many, ())) == verification.MOST


def test_a_private_key_in_a_set_gives_its_public_half() -> None:
    """Nothing secret is handed on."""
    leaked = jwk.RSAKey.import_key(private(RSA_KEY)).as_dict(private=True)
    (key,) = verification.of_set({"keys": [leaked]}, ())
    assert "PRIVATE" not in key.pem
