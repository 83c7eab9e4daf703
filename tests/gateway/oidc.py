"""A small real OpenID provider: RS256, keys that rotate, codes that count once, PKCE verified. A test makes it lie by
`lies` (claims put into every ID token) and `forge` (another way to sign it)."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from .provider import key_set, named, signed

CLIENT, SECRET = "shop", "client s:cret"
_FIRST = named("RSA", 2048, "1")


class OpenIdProvider:
    def __init__(self) -> None:
        self.keys = [_FIRST]
        self.lies: dict[str, Any] = {}
        self.userinfo: dict[str, Any] | None = None
        self.forge: Callable[[dict[str, Any]], str] | None = None
        self.changes: dict[str, Any] = {}
        self.error = ""
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []

    async def start(self) -> OpenIdProvider:
        application = web.Application()
        application.router.add_get("/.well-known/openid-configuration", self._discovery)
        application.router.add_get("/authorize", self._authorize)
        application.router.add_post("/token", self._token)
        application.router.add_get("/keys", self._keys)
        application.router.add_get("/userinfo", self._userinfo)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.issuer = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    def rotate(self) -> None:
        """The new key signs; the old one is published no more."""
        self.keys = [named("RSA", 2048, str(len(self.asked) + 2))]

    async def _discovery(self, request: web.Request) -> web.Response:
        self.asked.append("discovery")
        addresses = {
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/logout",
        }
        document = {"issuer": self.issuer, **addresses, **self.changes}
        return web.json_response({name: value for name, value in document.items() if value is not None})

    async def _authorize(self, request: web.Request) -> web.Response:
        """Whoever comes is signed in at once."""
        asked = dict(request.query)
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT and "openid" in asked["scope"].split()
        answer = {"state": asked["state"], "iss": self.issuer}
        if self.error:
            answer["error"] = self.error
        else:
            answer["code"] = secrets.token_urlsafe(8)
            self.codes[answer["code"]] = asked
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(answer)}"})

    async def _token(self, request: web.Request) -> web.Response:
        self.asked.append("token")
        form = await request.post()
        pair = f"{CLIENT}:client%20s%3Acret"
        if request.headers.get("Authorization") != f"Basic {base64.b64encode(pair.encode()).decode()}":
            return web.json_response({"error": "invalid_client"}, status=401)
        asked = self.codes.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or asked["code_challenge_method"] != "S256"
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": "access", "token_type": "Bearer", "id_token": self._id_token(asked)})

    def _id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": "user-7", "iat": now, "exp": now + 60}
        claims |= {"nonce": asked["nonce"], "email": "ann@shop.example", "roles": ["buyer"], **self.lies}
        claims = {name: value for name, value in claims.items() if value is not None}
        return self.forge(claims) if self.forge else signed(claims, self.keys[0], "RS256", kid=self.keys[0].kid)

    async def _keys(self, request: web.Request) -> web.Response:
        self.asked.append("keys")
        return web.json_response(key_set(*self.keys))

    async def _userinfo(self, request: web.Request) -> web.Response:
        self.asked.append("userinfo")
        assert request.headers["Authorization"] == "Bearer access"
        return web.json_response(self.userinfo) if self.userinfo else web.Response(status=403)

    async def stop(self) -> None:
        await self._runner.cleanup()
