"""The credentials of a run: made for it, good for a day."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

_SECRET = "a secret of this benchmark alone, longer than 32 bytes"
_USER, _PASSWORD = "ann", "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Keys:
    """Tokens and what checks them: the secret, the public key in PEM and both as a key set."""

    secret: str
    public_key: Path
    key_set: str
    token_hs: str
    token_rs: str
    user: str = _USER
    password: str = _PASSWORD

    @classmethod
    def made(cls, folder: Path) -> Keys:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        file = folder / "public.pem"
        file.write_bytes(public)
        key = RSAKey.import_key(public, {"kid": "rs", "alg": "RS256"})
        oct_key = OctKey.import_key(_SECRET, {"kid": "hs", "alg": "HS256"})
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        claims = {"iss": "bench", "aud": "bench", "sub": _USER, "roles": ["buyer"], "exp": int(time.time()) + 86_400}
        return cls(
            _SECRET,
            file,
            json.dumps({"keys": [key.as_dict(), oct_key.as_dict(private=True)]}),
            jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(_SECRET)),
            jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(pem)),
        )

    def fill(self, text: str, api_key: str = "") -> str:
        basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        for name, value in (
            ("TOKEN_HS", self.token_hs),
            ("TOKEN_RS", self.token_rs),
            ("API_KEY", api_key),
            ("BASIC", basic),
        ):
            text = text.replace(f"@{name}@", value)
        return text
