"""The token endpoint of `identity.jwt.NAME.issue` (RFC 6749, 4.4), and its key set at `/.cloudlet/keys/NAME`.

The client is an API key: `client_id` its id, `client_secret` the key. A token says what the key may (RFC 9068):
`iss`, `aud`, `sub`, `client_id`, `roles`, `scope`, `iat`, `exp`, `jti`. A revoked key gives no more tokens; those that
it gave live to their end, so keep `lifetime` short.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from cloudlet.contracts.gateway import OWN_PATHS
from cloudlet.contracts.guard import KeyRecord, token_issuer
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Request
from cloudlet.gateway.response import Response
from cloudlet.gateway.tokens import grant
from cloudlet.gateway.tokens.attempts import Attempts
from cloudlet.gateway.tokens.clients import Clients
from cloudlet.gateway.tokens.grant import GrantError
from cloudlet.gateway.tokens.signing import Signer
from cloudlet.gateway.tokens.verify import json_response
from cloudlet.stack.identity import Jwt

KEYS = f"{OWN_PATHS}keys/"
_LARGEST = 16_384


class TokenEndpoint:
    """One issuer's."""

    def __init__(
        self,
        name: str,
        settings: Jwt,
        signer: Signer,
        clients: Clients,
        attempts: Attempts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        assert settings.issue is not None, "only issuers that issue have an endpoint"
        self._name, self._settings, self._issue = name, settings, settings.issue
        self._signer, self._clients, self._attempts, self._clock = signer, clients, attempts, clock

    async def handle(self, request: Request) -> Response:
        if request.path != self._issue.path:
            raise Refusal(404, "there is nothing here")
        if request.method != "POST":
            raise Refusal(405, "tokens are asked for by POST", headers={"allow": "POST"})
        body = await request.body.read(_LARGEST)
        client, now = request.headers.get("x-forwarded-for"), self._clock()
        wait = self._attempts.wait(client, now)
        if wait:
            detail = "too many failed attempts"
            raise Refusal(429, detail, reason="attempts", headers={"retry-after": str(int(wait) + 1)})
        try:
            return json_response(200, self._given(request, body, now), {"pragma": "no-cache"})
        except GrantError as error:
            if error.status == 401:
                self._attempts.failed(client, now)
            return _refused(error)

    def _given(self, request: Request, body: bytes, now: float) -> dict[str, Any]:
        headers = request.headers
        asked = grant.read(headers.get("content-type"), body, headers.get("authorization"))
        record = self._clients.find(asked.client_id, asked.client_secret)
        if record is None:
            raise GrantError("invalid_client", "no such key, or it was revoked or has expired", 401)
        scopes = grant.narrowed(record.scopes, asked.scopes)
        expires = self._end(record, now)
        token = self._signer.sign(self._claims(record, scopes, int(now), expires))
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": expires - int(now),
            "scope": " ".join(scopes),
        }

    def _end(self, record: KeyRecord, now: float) -> int:
        """No token lives longer than the key that it came from."""
        end = int(now + max(1.0, self._issue.lifetime))
        return end if record.expires is None else min(end, max(int(now) + 1, int(record.expires)))

    def _claims(self, record: KeyRecord, scopes: tuple[str, ...], now: int, expires: int) -> dict[str, Any]:
        settings = self._settings
        claims: dict[str, Any] = {
            "iss": token_issuer(self._name, settings),
            "sub": record.user or record.id,
            "client_id": record.id,
            "iat": now,
            "exp": expires,
            "jti": secrets.token_urlsafe(16),
        }
        if settings.audience is not None:
            claims["aud"] = settings.audience
        put(claims, settings.user, claims["sub"])
        put(claims, settings.roles, list(record.roles))
        put(claims, settings.scopes, " ".join(scopes))
        return claims


def put(claims: dict[str, Any], name: str, value: Any) -> None:
    """Where `at` finds it again: `a.b` is `b` within `a`."""
    *outer, last = name.split(".")
    for step in outer:
        inner = claims.setdefault(step, {})
        claims = inner if isinstance(inner, dict) else {}
    claims[last] = value


def _refused(error: GrantError) -> Response:
    headers = {"pragma": "no-cache"}
    if error.status == 401:
        headers |= {"www-authenticate": 'Basic realm="cloudlet"', "cloudlet-refused": "client-credentials"}
    return json_response(error.status, {"error": error.code, "error_description": error.description}, headers)


class KeySets:
    """The public keys of every issuer that issues."""

    def __init__(self, signer: Signer, names: frozenset[str]) -> None:
        self._signer, self._names = signer, names

    async def handle(self, request: Request) -> Response:
        if request.path.removeprefix(KEYS) not in self._names:
            raise Refusal(404, "cloudlet issues no such tokens")
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405, "a key set is read by GET", headers={"allow": "GET, HEAD"})
        kind = {"content-type": "application/jwk-set+json", "cache-control": "public, max-age=300"}
        return json_response(200, self._signer.document(), kind)
