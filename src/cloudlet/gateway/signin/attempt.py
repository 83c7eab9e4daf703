"""One sign-in under way: what must be the same when the browser comes back. It is kept by that browser alone, in a
cookie that is sealed (Fernet: AES-128-CBC and HMAC-SHA256, with its time), so that any instance can go on with it.

The cookie's name ends in the beginning of `state`: several tabs can sign in at once. Pure, but for the randomness.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

#: seconds that somebody has for typing a password
LONGEST = 600
_PREFIX = "cloudlet-attempt-"
_MARK = 12


@dataclass(frozen=True, slots=True)
class Attempt:
    """`back` is the redirect_uri, which the exchange must repeat; `to` where the browser wanted to go."""

    provider: str
    state: str
    nonce: str
    verifier: str
    back: str
    to: str

    @classmethod
    def new(cls, provider: str, back: str, to: str) -> Attempt:
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(provider, state, nonce, verifier, back, to)

    @property
    def challenge(self) -> str:
        """RFC 7636, 4.2: S256."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def began_with(self, provider: str, state: str) -> bool:
        given = state.encode("utf-8", "surrogateescape")
        return hmac.compare_digest(self.state.encode(), given) and self.provider == provider


def cookie_name(state: str, *, secure: bool) -> str:
    return f"{prefix(secure=secure)}{state[:_MARK]}"


def prefix(*, secure: bool) -> str:
    return f"__Host-{_PREFIX}" if secure else _PREFIX


class Seal:
    """`key` is any secret; the one that seals is derived from it, so that sealing and signing never share one."""

    def __init__(self, key: str) -> None:
        derive = HKDF(hashes.SHA256(), 32, salt=None, info=b"cloudlet sign-in attempt")
        self._fernet = Fernet(base64.urlsafe_b64encode(derive.derive(key.encode())))

    def close(self, attempt: Attempt, now: float) -> str:
        return self._fernet.encrypt_at_time(json.dumps(asdict(attempt)).encode(), int(now)).decode()

    def open(self, sealed: str, now: float) -> Attempt | None:
        """None for what we did not seal, or longer ago than LONGEST."""
        try:
            content = self._fernet.decrypt_at_time(sealed.encode("ascii"), LONGEST, int(now))
            return Attempt(**json.loads(content))
        except (InvalidToken, ValueError, TypeError):
            return None
