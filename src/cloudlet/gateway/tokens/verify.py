"""Answers the edge's question whether a token counts: `POST /.cloudlet/verify`.

    asked     {"kind": "jwt" | "oauth", "name": NAME, "token": TOKEN}, with `Authorization: Bearer SECRET`
    answered  {"active": true, "user", "roles", "scopes", "claims", "expires"}, `expires` in seconds since 1970 or null
              {"active": false, "because": WORD}
    503       nobody can tell now: the issuer's keys or its server are out of reach

Only the edge knows the secret: anybody else is told that there is no such path.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cloudlet.contracts.guard import VERIFY
from cloudlet.errors import ProviderFailed
from cloudlet.gateway.headers import Headers
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Request
from cloudlet.gateway.response import Response
from cloudlet.gateway.tokens.claims import Principal, Rejected

_LARGEST = 65_536
log = logging.getLogger("cloudlet.gateway.tokens")

Check = Callable[[str], Awaitable[Principal]]


class Verifier:
    """`checks` by (kind, name)."""

    def __init__(self, checks: Mapping[tuple[str, str], Check], secret: str) -> None:
        self._checks = checks
        self._secret = f"Bearer {secret}".encode() if secret else b""

    async def handle(self, request: Request) -> Response:
        asked = request.headers.get("authorization").encode("utf-8", "surrogateescape")
        if not self._secret or not hmac.compare_digest(asked, self._secret) or request.path != VERIFY:
            raise Refusal(404, "there is nothing here")
        if request.method != "POST":
            raise Refusal(405, "only POST asks", headers={"allow": "POST"})
        check, token = self._question(await request.body.read(_LARGEST))
        try:
            return json_response(200, _told(await check(token)))
        except Rejected as rejected:
            return json_response(200, {"active": False, "because": rejected.because})
        except ProviderFailed as error:
            log.warning("a token could not be checked: %s", error)
            raise Refusal(503, "the issuer of this token does not answer", headers={"retry-after": "5"}) from error

    def _question(self, body: bytes) -> tuple[Check, str]:
        try:
            asked = json.loads(body)
            check, token = self._checks[asked["kind"], asked["name"]], asked["token"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refusal(400, "ask with the kind and name of an issuer in the file, and a token") from error
        if not isinstance(token, str):
            raise Refusal(400, "`token` is no text")
        return check, token


def _told(who: Principal) -> dict[str, Any]:
    return {
        "active": True,
        "user": who.user,
        "roles": who.roles,
        "scopes": who.scopes,
        "claims": who.claims,
        "expires": who.expires,
    }


def json_response(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Never kept by anybody on the way."""
    said = {"content-type": "application/json", "cache-control": "no-store", **(headers or {})}
    return Response(status, Headers(said.items()), json.dumps(value).encode())
