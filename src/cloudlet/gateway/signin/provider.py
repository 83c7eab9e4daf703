"""A provider: what it says of itself (OpenID Connect Discovery 1.0), its keys, and who a code stands for.

What was discovered counts for an hour, and goes on counting while the provider is away; nobody makes us ask more than
once in ten seconds. The issuer in the document must be the one in the file, to the letter: another one could be let
in otherwise by whoever answers for the address.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cloudlet.errors import ProviderFailed
from cloudlet.gateway.signin.attempt import Attempt
from cloudlet.gateway.signin.id_token import algorithms, validated
from cloudlet.gateway.tokens.claims import Principal, Rejected, at, principal
from cloudlet.gateway.tokens.fetch import Fetcher
from cloudlet.gateway.tokens.introspection import basic
from cloudlet.gateway.tokens.jwks import PAUSE, Fetched, at_address
from cloudlet.gateway.tokens.jwt import Unverified
from cloudlet.stack.identity import Oidc
from cloudlet.stack.identity.trust import refusal

_FRESH = 3600.0
_LONGEST_CODE = 4096
log = logging.getLogger("cloudlet.gateway.signin")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The addresses of a provider; the empty ones it does not have."""

    authorization: str
    token: str
    keys: str
    userinfo: str = ""
    end_session: str = ""
    algorithms: frozenset[str] = frozenset({"RS256"})
    #: whether the secret goes into the form, for a provider that takes no header
    posted_secret: bool = False
    #: whether answers always say who gives them (RFC 9207)
    says_issuer: bool = False


def metadata(document: dict[str, Any], issuer: str) -> Metadata:
    """Raises ProviderFailed."""
    if document.get("issuer") != issuer:
        raise ProviderFailed(f"the provider calls itself {document.get('issuer')!r:.200}, the file {issuer!r}")
    required = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    addresses = {name: _address(document, name) for name in (*required, "userinfo_endpoint", "end_session_endpoint")}
    missing = [name for name in required if not addresses[name]]
    if missing:
        raise ProviderFailed(f"{issuer} has no {' and no '.join(missing)}")
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Metadata(
        authorization=addresses["authorization_endpoint"],
        token=addresses["token_endpoint"],
        keys=addresses["jwks_uri"],
        userinfo=addresses["userinfo_endpoint"],
        end_session=addresses["end_session_endpoint"],
        algorithms=algorithms(document.get("id_token_signing_alg_values_supported")),
        posted_secret="client_secret_basic" not in methods and "client_secret_post" in methods,
        says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(document: dict[str, Any], name: str) -> str:
    found = document.get(name, "")
    if not isinstance(found, str) or (found and refusal(found)):
        raise ProviderFailed(f"the provider's {name} is no address that can be trusted: {found!r:.200}")
    return found


class Provider:
    """One below `identity.oidc`."""

    def __init__(
        self,
        settings: Oidc,
        fetcher: Fetcher,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._fetcher, self._clock, self._steady = settings, fetcher, clock, steady
        self._found: Metadata | None = None
        self._keys: Fetched | None = None
        self._good = self._tried = float("-inf")
        self._failure: ProviderFailed | None = None
        self._turn = asyncio.Lock()

    async def metadata(self) -> Metadata:
        """Raises ProviderFailed."""
        async with self._turn:
            now = self._steady()
            if now - self._good >= _FRESH and now - self._tried >= PAUSE:
                await self._discover()
        if self._found is None:
            raise self._failure or ProviderFailed(f"{self._settings.issuer} was not discovered")
        return self._found

    async def _discover(self) -> None:
        issuer = self._settings.issuer
        try:
            document = await self._fetcher.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            found = metadata(document, issuer)
            if self._found is None or found.keys != self._found.keys:
                self._keys = at_address(self._fetcher, found.keys, self._steady)
            self._found, self._good = found, self._steady()
        except ProviderFailed as error:
            log.warning("sign-in: %s", error)
            self._failure = error
        finally:
            self._tried = self._steady()

    def authorization(self, found: Metadata, attempt: Attempt) -> str:
        """Where the browser signs in (OpenID Connect Core 1.0, 3.1.2.1)."""
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": attempt.back,
            "scope": " ".join(dict.fromkeys(("openid", *self._settings.scopes))),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{found.authorization}{'&' if '?' in found.authorization else '?'}{urlencode(asked)}"

    async def exchange(self, found: Metadata, attempt: Attempt, code: str) -> Principal:
        """Who signed in. Raises Rejected for an answer that does not count, ProviderFailed for none."""
        if len(code) > _LONGEST_CODE:
            raise Rejected("code")
        status, answer = await self._redeem(found, attempt, code)
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise Rejected("code" if answer.get("error") == "invalid_grant" else "exchange")
        claims = await self._identity(found, attempt, token)
        claims = await self._completed(found, claims, answer.get("access_token"))
        return principal(claims, self._settings.user, self._settings.roles, "scope")

    async def _redeem(self, found: Metadata, attempt: Attempt, code: str) -> tuple[int, dict[str, Any]]:
        settings = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.back,
            "code_verifier": attempt.verifier,
        }
        headers: dict[str, str] = {}
        if settings.client_secret is None:
            form["client_id"] = settings.client_id
        elif found.posted_secret:
            form |= {"client_id": settings.client_id, "client_secret": settings.client_secret}
        else:
            headers = basic(settings.client_id, settings.client_secret)
        status, answer = await self._fetcher.post(found.token, form, headers)
        if status != 200:
            log.warning("sign-in: %s answered %d, %.100r", found.token, status, answer.get("error"))
        return status, answer

    async def _identity(self, found: Metadata, attempt: Attempt, token: str) -> dict[str, Any]:
        assert self._keys is not None, "what was discovered has keys"
        unverified = Unverified(token)
        return validated(
            unverified,
            await self._keys.keys(unverified.kid),
            found.algorithms,
            issuer=self._settings.issuer,
            client_id=self._settings.client_id,
            nonce=attempt.nonce,
            now=self._clock(),
        )

    async def _completed(self, found: Metadata, claims: dict[str, Any], access: object) -> dict[str, Any]:
        """With what only the userinfo endpoint says, where user or roles are not in the token; it must be of the same
        subject (OpenID Connect Core 1.0, 5.3.4)."""
        wanted = (self._settings.user, self._settings.roles)
        if all(at(claims, name) is not None for name in wanted) or not found.userinfo or not isinstance(access, str):
            return claims
        try:
            said = await self._fetcher.get(found.userinfo, {"Authorization": f"Bearer {access}"})
        except ProviderFailed as error:
            log.warning("sign-in goes on without what userinfo says: %s", error)
            return claims
        if said.get("sub") != claims["sub"]:
            raise Rejected("userinfo")
        return {**said, **claims}
