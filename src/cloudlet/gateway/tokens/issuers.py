"""The issuers below `identity.jwt`: which keys and algorithms count for each, and a token held against them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from joserfc import jwk

from cloudlet.contracts.guard import token_issuer
from cloudlet.gateway.tokens import keys as key_files
from cloudlet.gateway.tokens.claims import Principal, Rejected, check_parties, check_times, principal
from cloudlet.gateway.tokens.fetch import Fetcher
from cloudlet.gateway.tokens.jwks import Fixed, InFile, KeySource, at_address
from cloudlet.gateway.tokens.jwt import Unverified
from cloudlet.stack.identity import Jwt

#: what cloudlet signs with
ISSUED_BY = "ES256"


class Issuer:
    """One kind of token. Raises OperatorError where its keys cannot be read."""

    def __init__(
        self,
        name: str,
        settings: Jwt,
        fetcher: Fetcher,
        issued: list[jwk.Key] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._settings, self._clock = name, settings, clock
        self._source = _source(name, settings, fetcher, issued or [])
        self._algorithms = key_files.with_aliases(settings.algorithms or _usual(settings))

    async def check(self, token: str) -> Principal:
        """Who the token speaks for. Raises Rejected, or ProviderFailed where there are no keys to tell."""
        settings = self._settings
        unverified = Unverified(token)
        if unverified.algorithm not in self._algorithms:
            raise Rejected("algorithm")
        claims = unverified.verified(await self._source.keys(unverified.kid), self._algorithms)
        check_times(claims, self._clock(), settings.leeway)
        check_parties(claims, token_issuer(self._name, settings), settings.audience)
        return principal(claims, settings.user, settings.roles, settings.scopes)


def _usual(settings: Jwt) -> tuple[str, ...]:
    if settings.secret:
        return ("HS256", "HS384", "HS512")
    return (ISSUED_BY,) if settings.issue else key_files.PUBLIC_ALGORITHMS


def _source(name: str, settings: Jwt, fetcher: Fetcher, issued: list[jwk.Key]) -> KeySource:
    if settings.secret:
        return Fixed(key_files.of_secret(settings.secret, name))
    if settings.keys:
        return Fixed([key for file in settings.keys for key in key_files.of_pem(file.read_bytes(), name)])
    if settings.jwks:
        remote = settings.jwks.startswith(("https://", "http://"))
        return at_address(fetcher, settings.jwks) if remote else InFile(Path(settings.jwks))
    return Fixed(issued)
